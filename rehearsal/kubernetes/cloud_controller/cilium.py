"""The kind CiliumNetworkPolicy, which AKS installs if Cilium is its data plane; simulated, so nothing enforces it.

The schema covers rules of layers 3 and 4, and accepts every other field unchecked.
Sources: https://docs.cilium.io/en/stable/security/policy/language/ and
https://learn.microsoft.com/azure/aks/azure-cni-powered-by-cilium
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster

_GROUP, _VERSION, _KIND, _PLURAL = "cilium.io", "v2", "CiliumNetworkPolicy", "ciliumnetworkpolicies"
_ENTITIES = (
    *("all", "world", "world-ipv4", "world-ipv6", "cluster", "host", "init", "ingress", "unmanaged"),
    *("remote-node", "health", "none", "kube-apiserver"),
)


def build_manifests(cluster: ManagedCluster) -> Iterator[Object]:
    """The CustomResourceDefinition, if the cluster runs Cilium."""
    if "cilium" not in cluster.addons:
        return
    yield {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{_PLURAL}.{_GROUP}"},
        "spec": {
            "group": _GROUP,
            "scope": "Namespaced",
            "names": {"kind": _KIND, "plural": _PLURAL, "singular": _KIND.lower(), "shortNames": ["cnp", "ciliumnp"]},
            "versions": [
                {
                    "name": _VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _object(spec=_RULE, specs=_array(_RULE), status=_object())},
                }
            ],
        },
    }


def _object(**properties: Any) -> dict[str, Any]:
    known = {"properties": properties} if properties else {}
    return {"type": "object", "x-kubernetes-preserve-unknown-fields": True, **known}


def _array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


_ENTITY = {"type": "string", "enum": list(_ENTITIES)}
# Ports are strings: numbers, or names of ports.
_PORT_RULE = _object(
    ports=_array(
        _object(
            port={"type": "string"},
            protocol={"type": "string", "enum": ["TCP", "UDP", "SCTP", "ICMP", "ICMPv6", "ANY"]},
        )
    )
)
_RULE = _object(
    endpointSelector=_object(),
    ingress=_array(_object(fromEntities=_array(_ENTITY), toPorts=_array(_PORT_RULE))),
    egress=_array(_object(toEntities=_array(_ENTITY), toPorts=_array(_PORT_RULE))),
)
