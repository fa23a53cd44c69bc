"""KServe's controller: it makes Deployments, Services, autoscalers and HTTPRoutes of InferenceServices."""

from __future__ import annotations

import shutil

from rehearsal.kubernetes.controllers.controller import Controller, Launch, LaunchContext
from rehearsal.toolchain import GO_MODULES, Tool

_TOOL = Tool(
    name="kserve",
    title="KServe's controller",
    command="kserve-controller-manager",
    version_arguments=("--version",),
    folder=GO_MODULES / "kserve",
    module="github.com/kserve/kserve",
    package="github.com/kserve/kserve/cmd/manager",
    version_variable="main.version",  # there is none, and the linker does not mind
    build_time="four minutes",
    install_url="https://github.com/kserve/kserve/tree/master/cmd/manager",
)


def _launch(context: LaunchContext) -> Launch:
    """Its flags: https://github.com/kserve/kserve/blob/v0.20.0/cmd/manager/main.go

    None says on which address it serves its webhooks, so it does on all, unlike the rest of the control plane.
    """
    # It has no flag for its certificate, which controller-runtime reads from there:
    # https://pkg.go.dev/sigs.k8s.io/controller-runtime/pkg/webhook#Options
    certificates = context.folder / "k8s-webhook-server" / "serving-certs"
    certificates.mkdir(parents=True, exist_ok=True)
    shutil.copy(context.certificate.cert_file, certificates / "tls.crt")
    shutil.copy(context.certificate.key_file, certificates / "tls.key")
    return Launch(
        [
            f"--kubeconfig={context.kubeconfig}",
            f"--webhook-port={context.port}",
            "--leader-elect=false",  # there is but one, and after a restart it need not wait for its former self
            "--metrics-addr=0",
            "--health-probe-addr=0",
        ],
        {"POD_NAMESPACE": context.namespace, "TMPDIR": str(context.folder)},
    )


KSERVE = Controller(
    tool=_TOOL,
    chart="kserve-resources",
    deployment="kserve-controller-manager",
    image="kserve-controller",
    service="kserve-webhook-server-service",
    kinds=("InferenceService", "InferenceGraph", "TrainedModel"),
    launch=_launch,
)
