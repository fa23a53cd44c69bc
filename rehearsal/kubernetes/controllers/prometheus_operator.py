"""The Prometheus operator: it makes StatefulSets, with volumes, of Prometheus and Alertmanager."""

from __future__ import annotations

from rehearsal.kubernetes.control_plane.control_plane import HOST
from rehearsal.kubernetes.controllers.controller import Controller, Launch, LaunchContext
from rehearsal.toolchain import GO_MODULES, Tool

_TOOL = Tool(
    name="prometheus-operator",
    title="the Prometheus operator",
    command="prometheus-operator",
    version_arguments=("--version",),
    folder=GO_MODULES / "prometheus-operator",
    module="github.com/prometheus-operator/prometheus-operator",
    package="github.com/prometheus-operator/prometheus-operator/cmd/operator",
    version_variable="github.com/prometheus/common/version.Version",
    build_time="three minutes",
    install_url="https://github.com/prometheus-operator/prometheus-operator/releases",
)


def _launch(context: LaunchContext) -> Launch:
    """Its flags: https://prometheus-operator.dev/docs/platform/operator/"""
    return Launch(
        [
            f"--as={context.user}",  # it does not read this in the kubeconfig
            f"--web.listen-address={HOST}:{context.port}",
            f"--web.cert-file={context.certificate.cert_file}",
            f"--web.key-file={context.certificate.key_file}",
        ],
        {"KUBECONFIG": str(context.kubeconfig)},
    )


PROMETHEUS = Controller(
    tool=_TOOL,
    chart="kube-prometheus-stack",
    deployment="kube-prometheus-stack-operator",
    image="prometheus-operator",
    service="kube-prometheus-stack-operator",
    # Of the first four it makes StatefulSets; the others it reads into their configuration.
    kinds=(
        *("Prometheus", "Alertmanager", "PrometheusAgent", "ThanosRuler"),
        *("ServiceMonitor", "PodMonitor", "Probe", "ScrapeConfig", "PrometheusRule", "AlertmanagerConfig"),
    ),
    launch=_launch,
)
