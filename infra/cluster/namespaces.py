"""Namespaces: each with a Pod Security level, a quota, limits, and the service accounts that run in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import (
    LimitRange,
    LimitRangeItemArgs,
    LimitRangeSpecArgs,
    Namespace,
    ResourceQuota,
    ResourceQuotaSpecArgs,
    ServiceAccount,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.access import WORKLOADS
from infra.contract import Identity
from infra.core.component import Component

MONITORING = "monitoring"
NODE_EXPORTER = "node-exporter"


@dataclass(frozen=True)
class Profile:
    """What a namespace allows: a level of the Pod Security Standards, and how much it may ask for in all."""

    level: str
    cpu: str
    memory: str
    pods: int


# Node exporter reads the host, which only `privileged` allows; it is alone in its namespace for that reason.
PROFILES: Mapping[str, Profile] = {
    MONITORING: Profile("restricted", cpu="8", memory="24Gi", pods=50),
    NODE_EXPORTER: Profile("privileged", cpu="4", memory="8Gi", pods=120),
    "mlflow": Profile("restricted", cpu="4", memory="12Gi", pods=20),
    "training": Profile("restricted", cpu="64", memory="256Gi", pods=200),
    "serving": Profile("restricted", cpu="64", memory="256Gi", pods=200),
}


@dataclass(frozen=True)
class NamespacesArgs:
    identities: Mapping[str, Identity]


class Namespaces(Component):
    """Every namespace of the platform, ready for pods."""

    layer = "cluster"

    def __init__(self, name: str, args: NamespacesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._namespaces = {namespace: self._namespace(namespace, PROFILES[namespace]) for namespace in PROFILES}
        for workload in WORKLOADS:
            identity = args.identities[workload.name]
            self._service_account(workload.namespace, workload.service_account, identity)
        self.register_outputs({})

    @property
    def all(self) -> Sequence[Namespace]:
        return tuple(self._namespaces.values())

    def _namespace(self, name: str, profile: Profile) -> Namespace:
        namespace = Namespace(
            name,
            metadata=ObjectMetaArgs(name=name, labels=_pod_security(profile.level)),
            opts=self.child_options(),
        )
        inside = self.child_options(depends_on=[namespace])
        ResourceQuota(
            f"{name}-quota",
            metadata=ObjectMetaArgs(name="quota", namespace=name),
            spec=ResourceQuotaSpecArgs(
                hard={"requests.cpu": profile.cpu, "requests.memory": profile.memory, "pods": str(profile.pods)}
            ),
            opts=inside,
        )
        # Defaults for containers that say nothing, and no GPU in here: a `max` for one would, without a `default`,
        # become a request of every pod.
        limits = LimitRangeItemArgs(
            type="Container",
            default_request={"cpu": "50m", "memory": "128Mi"},
            default={"cpu": "500m", "memory": "512Mi"},
        )
        LimitRange(
            f"{name}-limits",
            metadata=ObjectMetaArgs(name="limits", namespace=name),
            spec=LimitRangeSpecArgs(limits=[limits]),
            opts=inside,
        )
        return namespace

    def _service_account(self, namespace: str, name: str, identity: Identity) -> None:
        ServiceAccount(
            f"{namespace}-{name}",
            metadata=ObjectMetaArgs(
                name=name, namespace=namespace, annotations=dict(identity.service_account_annotations)
            ),
            # The cloud's identity arrives by a projected token of its own; the Kubernetes API is nobody's business.
            automount_service_account_token=False,
            opts=self.child_options(depends_on=[self._namespaces[namespace]]),
        )


def _pod_security(level: str) -> Mapping[str, str]:
    return {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "audit", "warn")}
