"""KServe, which serves models: it creates Deployments, autoscalers and routes from InferenceServices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.cluster.envoy_gateway import GATEWAY_CLASS
from infra.cluster.flows import Flow, Place, Pods
from infra.cluster.gateway import GATEWAY
from infra.cluster.namespaces import GATEWAY as GATEWAY_NAMESPACE
from infra.cluster.namespaces import KSERVE as NAMESPACE
from infra.cluster.pod_values import resources
from infra.cluster.release import create_release
from infra.cluster.versions import KSERVE, KSERVE_CRD, KSERVE_RUNTIMES
from infra.core.component import Component

# The runtimes of the chart whose servers write nothing outside of the model's folder and need no GPU. Some of the other
# ones have an image without a fixed version, or from a registry that the platform does not pull from.
_RUNTIMES = ("lgbserver", "mlserver", "sklearnserver", "xgbserver")
_OTHER_RUNTIMES = (
    "autogluonserver",
    "huggingfaceserver",
    "huggingfaceserver_multinode",
    "paddleserver",
    "pmmlserver",
    "predictiveserver",
    "tensorflow",
    "torchserve",
    "tritonserver",
    "vllmserver",
)
_LABELS = {"control-plane": "kserve-controller-manager"}
_CONTROLLER = Pods(NAMESPACE, "controller", _LABELS)
# The security context that the namespaces of models require of every container.
_SECURITY_CONTEXT: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True)
class KserveArgs:
    domain: str


class Kserve(Component):
    """The controller in Standard mode, which does not need Knative, with routes at the platform's Gateway."""

    layer = "cluster"
    flows = (
        Flow(_CONTROLLER, Place.API_SERVER, reason="watches InferenceServices and creates what serves them"),
        Flow(Place.API_SERVER, _CONTROLLER, 9443, "calls the webhooks"),
    )

    def __init__(self, name: str, args: KserveArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        kinds = create_release(KSERVE_CRD.name, KSERVE_CRD, NAMESPACE, {}, self.child_options())
        controller = create_release(
            KSERVE.name, KSERVE, NAMESPACE, _values(args.domain), self.child_options(depends_on=[kinds])
        )
        # KServe's webhook validates runtimes.
        runtimes = self.child_options(depends_on=[controller])
        create_release(KSERVE_RUNTIMES.name, KSERVE_RUNTIMES, NAMESPACE, _runtime_values(), runtimes)
        CustomResource(
            f"{name}-monitor",
            api_version="monitoring.coreos.com/v1",
            kind="PodMonitor",
            metadata=ObjectMetaArgs(name="kserve", namespace=NAMESPACE),
            spec={
                "selector": {"matchLabels": _LABELS},
                "podMetricsEndpoints": [{"port": "metrics"}],
            },
            opts=self.child_options(depends_on=[controller]),
        )
        self.register_outputs({})


def _values(domain: str) -> Mapping[str, Any]:
    """One replica: the chart has no value for their number. Models are served even without the controller."""
    return {
        "kserve": {
            "controller": {
                "deploymentMode": "Standard",
                "gateway": {
                    "domain": domain,
                    "urlScheme": "https",
                    "disableIstioVirtualHost": True,
                    "ingressGateway": {
                        "enableGatewayApi": True,
                        "kserveGateway": f"{GATEWAY_NAMESPACE}/{GATEWAY}",
                        "createGateway": False,
                        "className": GATEWAY_CLASS,
                    },
                },
                "imagePullPolicy": "IfNotPresent",
                # Prometheus scrapes the pod directly; network policies keep others away.
                "metricsBindAddress": "0.0.0.0",  # noqa: S104
                "resources": _with_cpu_limit(resources("100m", "192Mi", "512Mi")),
                "rbacProxy": {"resources": _with_cpu_limit(resources("10m", "32Mi", "64Mi"))},
            },
            # Default of InferenceServices that do not set it. Credentials of the clouds have their own volumes.
            "security": {"autoMountServiceAccountToken": False},
            "storage": {"containerSecurityContext": _SECURITY_CONTEXT},
        }
    }


def _with_cpu_limit(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Raise the chart's CPU limit of 100m, which would throttle; a release cannot remove it."""
    return {**values, "limits": {**values["limits"], "cpu": "1"}}


def _runtime_values() -> Mapping[str, Any]:
    enabled = {name: {"securityContext": _SECURITY_CONTEXT} for name in _RUNTIMES}
    disabled = {name: {"disabled": True} for name in _OTHER_RUNTIMES}
    return {"kserve": {"servingruntime": {"enabled": True, **enabled, **disabled}}}
