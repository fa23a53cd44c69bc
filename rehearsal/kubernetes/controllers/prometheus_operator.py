"""The Prometheus operator, which creates StatefulSets with volumes for Prometheus and Alertmanager objects."""

from __future__ import annotations

from rehearsal.kubernetes.control_plane.control_plane import HOST
from rehearsal.kubernetes.controllers.controller import Controller, LaunchContext, LaunchOptions
from rehearsal.toolchain import GO_MODULES, Tool

_TOOL = Tool(
    name="prometheus-operator",
    title="the Prometheus operator",
    command="prometheus-operator",
    version_arguments=("--version",),
    folder=GO_MODULES / "prometheus-operator",
    module="github.com/prometheus-operator/prometheus-operator",
    package="github.com/prometheus-operator/prometheus-operator/cmd/operator",
    version_variables={
        "github.com/prometheus/common/version.Version": "github.com/prometheus-operator/prometheus-operator",
    },
    build_minutes=3,
    install_url="https://github.com/prometheus-operator/prometheus-operator/releases",
)


def _build_options(context: LaunchContext) -> LaunchOptions:
    """Flags: https://prometheus-operator.dev/docs/platform/operator/"""
    return LaunchOptions(
        [
            f"--as={context.user}",  # it ignores the impersonation in the kubeconfig
            f"--web.listen-address={HOST}:{context.port}",
            f"--web.cert-file={context.certificate.cert_file}",
            f"--web.key-file={context.certificate.key_file}",
            # By default it writes the nodes' addresses into the kubelets' Service every three minutes, which is longer
            # than a rehearsal waits after nodes were replaced.
            "--kubelet-sync-period=5s",
        ],
        {"KUBECONFIG": str(context.kubeconfig)},
    )


PROMETHEUS_OPERATOR = Controller(
    tool=_TOOL,
    chart="kube-prometheus-stack",
    workload_name="kube-prometheus-stack-operator",
    image="prometheus-operator",
    service="kube-prometheus-stack-operator",
    # It creates StatefulSets for the first four; the others become part of their configuration.
    kinds=(
        *("Prometheus", "Alertmanager", "PrometheusAgent", "ThanosRuler"),
        *("ServiceMonitor", "PodMonitor", "Probe", "ScrapeConfig", "PrometheusRule", "AlertmanagerConfig"),
    ),
    build_options=_build_options,
)
