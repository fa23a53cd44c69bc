//go:build tools

package prometheusoperator

import _ "github.com/prometheus-operator/prometheus-operator/cmd/operator"
