"""Charges that objects in a cluster cause: volumes, and the load balancer of a gateway or a Service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from estimates.catalogue.azure import round_up_disk
from estimates.charges import CATALOGUE, Charge, Charges, Stack, hourly, volume
from estimates.resources import Resource
from kernel.pod_resources import parse_quantity

_GIB = 2**30
_STORAGE_CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"
_CLUSTERS = ("azure-native:containerservice:ManagedCluster", "aws:eks/cluster:Cluster")


@CATALOGUE.charges_for("kubernetes:gateway.networking.k8s.io/v1:Gateway")
def _charge_gateway(_: Resource, stack: Stack) -> Charges:
    """Its controller creates a Service of type LoadBalancer. Without a cluster there is no load balancer."""
    if stack.count(*_CLUSTERS):
        yield hourly("load balancer", "load-balancer")


@CATALOGUE.charges_for("kubernetes:apps/v1:StatefulSet", "kubernetes:core/v1:PersistentVolumeClaim")
def _charge_declared_volumes(resource: Resource, stack: Stack) -> Charges:
    yield from charge_volumes(resource.inputs, stack)


@CATALOGUE.charges_for("kubernetes:helm.sh/v3:Release")
def _charge_volumes_of_chart(release: Resource, stack: Stack) -> Charges:
    for manifest in stack.charts.get(release.urn, ()):
        yield from charge_volumes(manifest, stack)


def charge_volumes(manifest: Mapping[str, Any], stack: Stack) -> Charges:
    """The disks of an object's volumes, in the stack's storage class."""
    for gigabytes in list_volumes(manifest):
        yield _charge_disk(gigabytes, stack)


def list_volumes(manifest: Mapping[str, Any]) -> Iterator[float]:
    """GiB of each volume that an object creates: its own, or those of its replicas."""
    kind, spec = manifest.get("kind"), manifest.get("spec") or {}
    if kind == "PersistentVolumeClaim":
        yield _read_size(spec)
    elif kind == "StatefulSet":
        for template in spec.get("volumeClaimTemplates") or ():
            yield from [_read_size(template.get("spec") or {})] * int(spec.get("replicas", 1))
    elif kind in ("Prometheus", "Alertmanager"):
        template = (spec.get("storage") or {}).get("volumeClaimTemplate")
        if template:
            yield from [_read_size(template.get("spec") or {})] * int(spec.get("replicas", 1))


def _read_size(claim: Mapping[str, Any]) -> float:
    requested = ((claim.get("resources") or {}).get("requests") or {}).get("storage", "0")
    return float(parse_quantity(requested) / _GIB)


def _charge_disk(gigabytes: float, stack: Stack) -> Charge:
    classes = [each for each in stack.resources if each.type == _STORAGE_CLASS]
    parameters = classes[0].get("parameters", {}) if classes else {}
    if "skuName" in parameters:
        size = round_up_disk(gigabytes)
        return Charge("volume", f"disk/{parameters['skuName']}/{size}", 1, f"{gigabytes:g} GiB, sold as {size}")
    return volume("volume", f"disk/{parameters.get('type', 'gp3')}", gigabytes)
