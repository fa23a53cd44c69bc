//go:build tools

// What is built from this module by its own package, so that go.mod keeps it.
package main

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "sigs.k8s.io/kwok/cmd/kwok"
)
