"""KServe's controller, which creates Deployments, Services, autoscalers and HTTPRoutes for InferenceServices."""

from __future__ import annotations

import shutil

from rehearsal.kubernetes.controllers.controller import Controller, LaunchContext, LaunchOptions
from rehearsal.toolchain import GO_MODULES, Tool

_TOOL = Tool(
    name="kserve",
    title="KServe's controller",
    command="kserve-controller-manager",
    version_arguments=("--version",),
    folder=GO_MODULES / "kserve",
    module="github.com/kserve/kserve",
    package="github.com/kserve/kserve/cmd/manager",
    build_minutes=4,
    install_url="https://github.com/kserve/kserve/tree/master/cmd/manager",
)


def _build_options(context: LaunchContext) -> LaunchOptions:
    """Flags: https://github.com/kserve/kserve/blob/v0.20.0/cmd/manager/main.go

    No flag sets the address of its webhooks: it serves them on all addresses, unlike the rest of the control plane.
    """
    # No flag sets its certificate either, which controller-runtime reads from this folder of TMPDIR:
    # https://pkg.go.dev/sigs.k8s.io/controller-runtime/pkg/webhook#Options
    certificates = context.folder / "k8s-webhook-server" / "serving-certs"
    certificates.mkdir(parents=True, exist_ok=True)
    shutil.copy(context.certificate.cert_file, certificates / "tls.crt")
    shutil.copy(context.certificate.key_file, certificates / "tls.key")
    return LaunchOptions(
        [
            f"--kubeconfig={context.kubeconfig}",
            f"--webhook-port={context.port}",
            "--leader-elect=false",  # a restarted process would wait for the lease of the previous one
            "--metrics-addr=0",
            "--health-probe-addr=0",
        ],
        {"POD_NAMESPACE": context.namespace, "TMPDIR": str(context.folder)},
    )


KSERVE = Controller(
    tool=_TOOL,
    chart="kserve-resources",
    workload_name="kserve-controller-manager",
    image="kserve-controller",
    service="kserve-webhook-server-service",
    kinds=("InferenceService", "InferenceGraph", "TrainedModel"),
    build_options=_build_options,
)
