"""NVIDIA's device plugin, which exposes the GPUs of nodes as a resource that pods can request: `nvidia.com/gpu`.

The program declares its static manifest instead of its chart, for the reasons in docs/adr/0027-gpu-pool.md.
Source: https://github.com/NVIDIA/k8s-device-plugin/blob/v0.20.0/deployments/static/nvidia-device-plugin.yml
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.apps.v1 import DaemonSet
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.cluster.namespaces import DEVICE_PLUGIN as NAMESPACE
from infra.cluster.pod_values import resources
from infra.cluster.versions import NVIDIA_DEVICE_PLUGIN_IMAGE
from infra.contract import NodePool
from infra.core.component import Component
from kernel.annotations import NODES_ON_DEMAND

_NAME = "nvidia-device-plugin"
_LABELS = {"app.kubernetes.io/name": _NAME}
# The folder in which a kubelet and its device plugins have their sockets.
# Source: https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/
_SOCKETS = "/var/lib/kubelet/device-plugins"


@dataclass(frozen=True)
class DevicePluginArgs:
    pool: NodePool


class DevicePlugin(Component):
    """A pod on each node of the pool with GPUs. It has no flows: it talks only to the kubelet, through sockets."""

    layer = "cluster"
    namespace = NAMESPACE

    def __init__(self, name: str, args: DevicePluginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        DaemonSet(
            _NAME,
            metadata=ObjectMetaArgs(
                name=_NAME, namespace=NAMESPACE, labels=_LABELS, annotations={NODES_ON_DEMAND: "true"}
            ),
            spec={
                "selector": {"matchLabels": _LABELS},
                "template": {"metadata": {"labels": _LABELS}, "spec": _build_pod(args.pool)},
            },
            opts=self.child_options(),
        )
        self.register_outputs({})


def _build_pod(pool: NodePool) -> Mapping[str, Any]:
    """It runs as root, because only root may write to the kubelet's folder, and without any of root's capabilities."""
    container = {
        "name": _NAME,
        "image": NVIDIA_DEVICE_PLUGIN_IMAGE,
        # Estimated: neither the manifest nor the chart states any.
        "resources": resources("10m", "64Mi", "256Mi"),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "sockets", "mountPath": _SOCKETS}],
    }
    return {
        "automountServiceAccountToken": False,
        "nodeSelector": dict(pool.labels),
        "tolerations": [
            {"key": taint.key, "operator": "Equal", "value": taint.value, "effect": str(taint.effect)}
            for taint in pool.taints
        ],
        # Without it, a node has no GPUs to offer, so it may preempt other pods.
        "priorityClassName": "system-node-critical",
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "sockets", "hostPath": {"path": _SOCKETS, "type": "Directory"}}],
    }
