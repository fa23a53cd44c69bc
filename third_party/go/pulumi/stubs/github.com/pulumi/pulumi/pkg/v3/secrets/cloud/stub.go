// Package cloud is left out: a rehearsal encrypts secrets with a passphrase, not with a cloud's key.
package cloud

import (
	"encoding/json"
	"errors"

	"github.com/pulumi/pulumi/pkg/v3/secrets"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
)

// Type is how the engine recognizes secrets that a cloud's key encrypts.
const Type = "cloud"

var errLeftOut = errors.New("this engine was built for rehearsals and encrypts secrets with a passphrase only")

// NewCloudSecretsManager fails: this engine reaches no cloud.
func NewCloudSecretsManager(*workspace.ProjectStack, string, bool) (secrets.Manager, error) {
	return nil, errLeftOut
}

// NewCloudSecretsManagerFromState fails: this engine reaches no cloud.
func NewCloudSecretsManagerFromState(json.RawMessage) (secrets.Manager, error) {
	return nil, errLeftOut
}

// EditProjectStack fails: this engine reaches no cloud.
func EditProjectStack(*workspace.ProjectStack, json.RawMessage) error {
	return errLeftOut
}
