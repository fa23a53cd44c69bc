"""How the rehearsed cluster differs from the declared one: its control plane has one version and one service range."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster
from rehearsal.kubernetes.control_plane.control_plane import SERVICE_RANGE


def describe_differences(cluster: ManagedCluster, rehearsed: str) -> Iterator[str]:
    """One line for each difference: the version, the service range, and node pools on another version than the cluster.

    `rehearsed` is the control plane's version: `v1.33.13`.
    """
    declared = _minor(cluster.version)
    if declared and declared != _minor(rehearsed):
        yield (
            f"Kubernetes {cluster.version} is declared, {rehearsed} was rehearsed: differences between them, "
            "such as removed APIs, were not"
        )
    if cluster.service_range and cluster.service_range != SERVICE_RANGE:
        yield f"the service range {cluster.service_range} is declared, {SERVICE_RANGE} was rehearsed"
    for pool in cluster.pools:
        if declared and pool.version and _minor(pool.version) != declared:
            yield (
                f"pool {pool.name} was left behind on Kubernetes {pool.version}, the cluster is on {cluster.version}: "
                "upgrade the pool too"
            )


def _minor(version: str) -> str:
    """The minor version: 1.33 for `v1.33.13`; empty if there is none."""
    found = re.match(r"v?(\d+\.\d+)", version)
    return found[1] if found else ""
