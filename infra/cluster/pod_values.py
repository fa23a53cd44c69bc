"""Pod settings that most charts have in their values: resources, spread over zones, disruption budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from infra.contract import Identity

_TOPOLOGY_KEYS = ("topology.kubernetes.io/zone", "kubernetes.io/hostname")


def resources(cpu: str, memory: str, limit: str) -> Mapping[str, Any]:
    """The requests of a container, and its memory limit.

    There is no CPU limit: it would throttle the container exactly when it is busy, even on an idle node.
    """
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": limit}}


# Security context of containers that need no privileges; each has an emptyDir for the files that it writes.
RESTRICTED_CONTAINER: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def restrict_pod(user: int) -> Mapping[str, Any]:
    """The securityContext of a pod that runs as this user and group."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def probe(port: str) -> Mapping[str, Any]:
    """The probes of the platform's own services, at a named port."""
    return {
        # Importing MLflow takes some time in a process that shares its node with others.
        "startupProbe": {"httpGet": {"path": "/health", "port": port}, "periodSeconds": 2, "failureThreshold": 60},
        "livenessProbe": {"httpGet": {"path": "/health", "port": port}, "periodSeconds": 15, "timeoutSeconds": 5},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": port}, "periodSeconds": 5, "timeoutSeconds": 5},
    }


def zone_spread(replicas: int, labels: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
    """The topologySpreadConstraints of a workload with several replicas, whose pods have these labels.

    It is not required: a zone without nodes counts too, so replicas could not move out of a lost zone.
    Source: https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/#known-limitations
    """
    if replicas == 1:
        return []
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": dict(labels)},
        }
        for key in _TOPOLOGY_KEYS
    ]


def budget(replicas: int) -> Mapping[str, Any]:
    """A PodDisruptionBudget in the form of most charts, if there is more than one replica.

    A budget for a single replica would prevent its node from being drained.
    """
    return {"enabled": replicas > 1, "maxUnavailable": 1}


def zone_anti_affinity(replicas: int, labels: Mapping[str, str]) -> Mapping[str, Any]:
    """The affinity of a workload with several replicas, if its chart has no topologySpreadConstraints."""
    if replicas == 1:
        return {}
    terms = [
        {"weight": 100, "podAffinityTerm": {"labelSelector": {"matchLabels": dict(labels)}, "topologyKey": key}}
        for key in _TOPOLOGY_KEYS
    ]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}


def annotate_account(identity: Identity) -> Mapping[str, pulumi.Input[str]]:
    """The annotations of a service account with an identity in the cloud.

    The first one is for people, and is known once pods of this account can use the identity: on EKS, pods that start
    earlier have no credentials.
    """
    return {"groundwork/principal": identity.principal, **identity.service_account_annotations}
