"""Actors on AWS: what AWS, controllers and people change between two deployments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from kernel.support_calendars import EKS
from rehearsal.simulator.aws.cluster import CLUSTER, NODE_GROUP
from rehearsal.simulator.aws.network import VPC
from rehearsal.simulator.core.calendar import find_end
from rehearsal.simulator.core.movement import Actor, Move, find_next_supported
from rehearsal.simulator.core.resource_model import StateReader
from rehearsal.simulator.core.transitions import parse_version

_DATABASE = "aws:rds/instance:Instance"


def _scale_nodes(state: StateReader, _today: date) -> Iterator[Move]:
    """An autoscaler in the cluster, or Karpenter, raises the desired number of nodes to the maximum."""
    for group in state.all(NODE_GROUP):
        scaling = group.inputs.get("scalingConfig", {})
        if scaling.get("desiredSize", 0) < scaling.get("maxSize", 0):
            yield Move(group, "scalingConfig.desiredSize", scaling["maxSize"])


def _grow_storage(state: StateReader, _today: date) -> Iterator[Move]:
    """RDS adds storage if the program allows it: at least 10 % at a time.

    Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIOPS.Autoscaling.html
    """
    for database in state.all(_DATABASE):
        size, most = database.inputs.get("allocatedStorage", 0), database.inputs.get("maxAllocatedStorage", 0)
        if size < most:
            yield Move(database, "allocatedStorage", min(most, size + max(10, size // 10)))


def _fail_over(state: StateReader, _today: date) -> Iterator[Move]:
    """RDS promotes the standby to primary: the zone changes, and the address stays the same.

    Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.MultiAZ.Failover.html
    """
    for database in state.all(_DATABASE):
        if database.inputs.get("multiAz") is True:
            yield Move(database, "availabilityZone", f"{database.inputs.get('region', 'eu-west-1')}b")


def _patch(state: StateReader, _today: date) -> Iterator[Move]:
    """RDS installs minor versions in the maintenance window; the provider keeps the version that the program declares.

    Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_UpgradeDBInstance.Upgrading.html
    """
    for database in state.all(_DATABASE):
        version = str(database.inputs.get("engineVersion", ""))
        if database.inputs.get("autoMinorVersionUpgrade") is True and version:
            numbers = parse_version(version)
            later = numbers[1] + 1 if len(numbers) > 1 else 9
            path = "engineVersion" if len(numbers) > 1 else "engineVersionActual"
            yield Move(database, path, f"{numbers[0]}.{later}")


def _end_support(state: StateReader, today: date) -> Iterator[Move]:
    """EKS upgrades a control plane whose extended support has ended to the oldest version that still has it.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html#version-deprecation
    """
    for cluster in state.all(CLUSTER):
        version = str(cluster.inputs.get("version", ""))
        end, begun = find_end(EKS, version), today - (EKS.extended or timedelta())
        later = find_next_supported(EKS, version, begun) if end and end < begun else None
        if later:
            yield Move(cluster, "version", later)


def _edit(state: StateReader, _today: date) -> Iterator[Move]:
    """Somebody makes the Kubernetes API public, and changes the owner in the network's tags."""
    for cluster in state.all(CLUSTER):
        yield Move(cluster, "vpcConfig.endpointPublicAccess", True)
    for vpc in state.all(VPC):
        yield Move(vpc, "tags.owner", "somebody")


ACTORS: Mapping[str, Actor] = {
    "autoscaler": _scale_nodes,
    "growth": _grow_storage,
    "failover": _fail_over,
    "patch": _patch,
    "end-of-support": _end_support,
    "person": _edit,
}
