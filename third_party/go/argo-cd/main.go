// Argo CD's application controller and repository server, the kustomize that the latter calls, and a stand-in for Redis.
//
// Like the program in Argo CD's image it is one for all, and does what it is called by. Without the API server, the
// command line and the other controllers it has a fifth fewer packages to build.
package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	engine "github.com/argoproj/argo-cd/gitops-engine/pkg/utils/io"
	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	repository "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/argoproj/argo-cd/v3/common"
	"github.com/argoproj/argo-cd/v3/util/log"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
	kustomize "sigs.k8s.io/kustomize/kustomize/v5/commands"
)

func main() {
	name, arguments := os.Getenv("ARGOCD_BINARY_NAME"), os.Args[1:]
	if filepath.Base(os.Args[0]) == "kustomize" {
		name = "kustomize"
	} else if len(arguments) > 0 && !strings.HasPrefix(arguments[0], "-") {
		arguments = arguments[1:] // in the chart, the program's path in the image
	}
	command := called(name)
	command.SetArgs(arguments)
	if command.Execute() != nil {
		os.Exit(1)
	}
}

func called(name string) *cobra.Command {
	switch name {
	case common.CommandApplicationController:
		logAsArgoCD()
		engine.TempDir = os.TempDir() // not in shared memory, where files would stay when it is killed
		return controller.NewCommand()
	case common.CommandRepoServer:
		logAsArgoCD()
		return repository.NewCommand()
	case "kustomize":
		return kustomize.NewDefaultCommand()
	default:
		return redis()
	}
}

func logAsArgoCD() {
	klog.SetLogger(log.NewLogrusLogger(log.NewWithCurrentConfig()))
}

// redis gives what Argo CD needs of Redis, whose own arguments it does not know.
func redis() *cobra.Command {
	return &cobra.Command{
		Use:                "redis-stand-in",
		DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			server := miniredis.NewMiniRedis()
			if err := server.StartAddr(os.Getenv("REDIS_STAND_IN_ADDRESS")); err != nil {
				return err
			}
			for range time.Tick(time.Second) {
				server.FastForward(time.Second) // without it, nothing expires
			}
			return nil
		},
	}
}
