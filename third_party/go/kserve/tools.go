//go:build tools

package kserve

import _ "github.com/kserve/kserve/cmd/manager"
