// Package ui is left out: the module has the sources of Alertmanager's user interface, not what npm makes of them.
package ui

import "github.com/prometheus/common/route"

// Register would serve the user interface.
func Register(*route.Router) {}
