"""Versions of charts, as charts.yaml pins them, and of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Chart:
    """A version of a Helm chart, and the repository that publishes it.

    digest  SHA-256 of the package, in hexadecimal. Release resources cannot contain it, so only the rehearsal, which
            reads charts.yaml, verifies the packages that it pulls; empty for charts in OCI registries, which have no
            index
    """

    name: str
    version: str
    repository: str
    digest: str = ""

    @property
    def is_in_registry(self) -> bool:
        """Whether it is published in an OCI registry, rather than in a repository with an index."""
        return self.repository.startswith("oci://")

    @property
    def address(self) -> str:
        """The reference in a release: the chart's name in a repository, or its whole address in a registry."""
        return f"{self.repository}/{self.name}" if self.is_in_registry else self.name


_CHARTS = yaml.safe_load(Path(__file__).with_name("charts.yaml").read_text())


def _get_chart(name: str) -> Chart:
    return Chart(name, **_CHARTS[name])


ALLOY = _get_chart("alloy")
ARGO_CD = _get_chart("argo-cd")
CERT_MANAGER = _get_chart("cert-manager")
ENVOY_GATEWAY = _get_chart("gateway-helm")
EXTERNAL_SECRETS = _get_chart("external-secrets")
KSERVE = _get_chart("kserve-resources")
KSERVE_CRD = _get_chart("kserve-crd")
KSERVE_RUNTIMES = _get_chart("kserve-runtime-configs")
AWS_LOAD_BALANCER_CONTROLLER = _get_chart("aws-load-balancer-controller")
KARPENTER = _get_chart("karpenter")
KARPENTER_CRD = _get_chart("karpenter-crd")
KUBE_PROMETHEUS_STACK = _get_chart("kube-prometheus-stack")
LOKI = _get_chart("loki")
MLFLOW = _get_chart("mlflow")
TEMPO = _get_chart("tempo")

# The chart's default, pinned here so that an update of the chart shows when it changes.
MLFLOW_IMAGE_TAG = "3.15.1"
# Newer than the chart's own v3.4.4: the nearest version whose controllers a rehearsal can build and run
# (third_party/go/argo-cd). Both have the same custom resource definitions.
ARGO_CD_IMAGE_TAG = "v3.4.6"

# The newest release, which NVIDIA's static manifest names.
# Source: https://github.com/NVIDIA/k8s-device-plugin/releases/tag/v0.20.0
NVIDIA_DEVICE_PLUGIN_IMAGE = "nvcr.io/nvidia/k8s-device-plugin:v0.20.0"

# The image of the nodes that Karpenter adds; it exists for Kubernetes 1.31 to 1.36.
# Source: https://github.com/awslabs/amazon-eks-ami/releases/tag/v20260903
EKS_NODE_IMAGE = "al2023@v20260903"
