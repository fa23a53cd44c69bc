"""Namespaces: each with a Pod Security level, a quota, limits and service accounts."""

from __future__ import annotations

from collections.abc import Mapping
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
from infra.cluster.pod_values import annotate_account
from infra.contract import Identity
from infra.core.component import Component

MONITORING = "monitoring"
NODE_EXPORTER = "node-exporter"
DEVICE_PLUGIN = "nvidia-device-plugin"
PIPELINES = "kubeflow"
CERT_MANAGER = "cert-manager"
GATEWAY = "gateway"
KSERVE = "kserve"

# The namespaces whose services may be reached through the gateway.
ROUTED_NAMESPACES = ("argocd", "mlflow", MONITORING, "serving")


@dataclass(frozen=True)
class Profile:
    """A namespace's level of the Pod Security Standards, and its quota of requests and pods."""

    level: str
    cpu: str
    memory: str
    pods: int


# The platform's own services. Node exporter has its own namespace: it reads the host, which only `privileged` allows.
SERVICE_PROFILES: Mapping[str, Profile] = {
    MONITORING: Profile("restricted", cpu="8", memory="24Gi", pods=50),
    NODE_EXPORTER: Profile("privileged", cpu="4", memory="8Gi", pods=120),
    "external-secrets": Profile("restricted", cpu="2", memory="4Gi", pods=20),
    "argocd": Profile("restricted", cpu="4", memory="12Gi", pods=20),
    CERT_MANAGER: Profile("restricted", cpu="2", memory="4Gi", pods=20),
    GATEWAY: Profile("restricted", cpu="4", memory="8Gi", pods=20),
    KSERVE: Profile("restricted", cpu="2", memory="4Gi", pods=10),
    "mlflow": Profile("restricted", cpu="4", memory="12Gi", pods=20),
    "lifecycle": Profile("restricted", cpu="4", memory="8Gi", pods=20),
}
# Namespaces with the objects that controllers act on. Finalizers keep an InferenceService, and so its namespace, until
# the controller has cleaned up: these namespaces are created after the controllers, and therefore deleted before them.
MODEL_PROFILES: Mapping[str, Profile] = {
    "training": Profile("restricted", cpu="64", memory="256Gi", pods=200),
    "serving": Profile("restricted", cpu="64", memory="256Gi", pods=200),
}
# Only if `pipelines.enabled` is set. Kubeflow Pipelines adds containers with writable root filesystems to the pods of
# runs, which an admission rule allows only in the level `baseline`.
PIPELINES_PROFILES: Mapping[str, Profile] = {PIPELINES: Profile("baseline", cpu="32", memory="128Gi", pods=200)}
# Only if `cluster.gpuPool.size` is set. The device plugin mounts a folder of its node, which only `privileged` allows.
# Room for one pod on each of the 100 nodes that a pool can have, and for some more during an update.
DEVICE_PLUGIN_PROFILE = Profile("privileged", cpu="2", memory="8Gi", pods=120)
# The profile of controllers that only some clouds need.
CONTROLLER_PROFILE = Profile("restricted", cpu="2", memory="4Gi", pods=10)
PROFILES: Mapping[str, Profile] = {**SERVICE_PROFILES, **MODEL_PROFILES}


@dataclass(frozen=True)
class NamespacesArgs:
    identities: Mapping[str, Identity]
    profiles: Mapping[str, Profile]


class Namespaces(Component):
    """Namespaces of the platform, with their service accounts."""

    layer = "cluster"

    def __init__(self, name: str, args: NamespacesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        for workload in WORKLOADS:
            if workload.namespace not in {**PROFILES, **PIPELINES_PROFILES}:
                raise ValueError(
                    f"The workload '{workload.name}' is in the namespace '{workload.namespace}', which has no profile: "
                    "add one to PROFILES in infra/cluster/namespaces.py."
                )
        self._namespaces = {
            namespace: self._create_namespace(namespace, profile) for namespace, profile in args.profiles.items()
        }
        for workload in WORKLOADS:
            if workload.namespace in self._namespaces:
                identity = args.identities[workload.name]
                self._create_service_account(workload.namespace, workload.service_account, identity)
        self.register_outputs({})

    @property
    def by_name(self) -> Mapping[str, Namespace]:
        return self._namespaces

    def _create_namespace(self, name: str, profile: Profile) -> Namespace:
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
        # Defaults for containers without resources. No CPU limit: it would throttle every container that declares
        # none, even on an idle node. There is no `max` for GPUs: without a `default`, Kubernetes adds it as a request
        # to every pod.
        limits = LimitRangeItemArgs(
            type="Container",
            default_request={"cpu": "50m", "memory": "128Mi"},
            default={"memory": "512Mi"},
        )
        LimitRange(
            f"{name}-limits",
            metadata=ObjectMetaArgs(name="limits", namespace=name),
            spec=LimitRangeSpecArgs(limits=[limits]),
            opts=inside,
        )
        return namespace

    def _create_service_account(self, namespace: str, name: str, identity: Identity) -> None:
        ServiceAccount(
            f"{namespace}-{name}",
            metadata=ObjectMetaArgs(
                name=name,
                namespace=namespace,
                annotations=annotate_account(identity),
            ),
            # Cloud identities use a separate projected token, and no workload needs the Kubernetes API.
            automount_service_account_token=False,
            opts=self.child_options(depends_on=[self._namespaces[namespace]]),
        )


def _pod_security(level: str) -> Mapping[str, str]:
    return {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "audit", "warn")}
