"""What changing each setting does to a deployed stack, per cloud.

A provider's schema says whether it replaces a resource (`replaceOnChanges`, `forceNew`); a cloud's documentation says
what cannot be changed and which data is lost. Each entry cites its source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.core.settings.catalogue import NAMESPACE, format_value, list_settings
from infra.core.settings.clouds import Cloud
from infra.core.settings.stack_settings import Settings
from infra.core.settings.transitions import Change, Effect, Transitions


@dataclass(frozen=True)
class SettingChange:
    """A setting whose new value differs from the deployed one."""

    setting: str
    old: Any
    new: Any
    change: Change

    def __str__(self) -> str:
        return f"{self.setting} {format_value(self.old)} -> {format_value(self.new)}: {self.change}"

    def is_refused(self, confirmed: Collection[str]) -> bool:
        """Whether the change is impossible, or has to be confirmed first."""
        effect = self.change.effect
        return effect is Effect.FIXED or (effect is Effect.LOSES_DATA and self.setting not in confirmed)

    def describe(self, place: str) -> list[str]:
        """Why the change is refused, and the remedy; `place` is where the new value comes from."""
        back = f"set it back to {format_value(self.old)}"
        remedy = (
            f"{back}; {self.change.instead}"
            if self.change.effect is Effect.FIXED
            else f"{back}, or confirm it with CONFIRM={self.setting}"
        )
        values = f"{format_value(self.old)} -> {format_value(self.new)}"
        return [
            f"{NAMESPACE}:{self.setting} {values} ({place}): {self.change}.",
            f"Remedy: {remedy}.",
        ]


def find_changes(deployed: Mapping[str, Any], settings: Settings) -> Iterator[SettingChange]:
    """What differs between the settings of the last deployment, as `Settings.dump` returns them, and the new ones.

    A setting that the last deployment does not have is left out: it is newer than the deployment.
    """
    wanted = settings.dump()
    cloud = Cloud(deployed["cloud"]) if deployed.get("cloud") in set(Cloud) else settings.cloud
    for path in list_settings():
        old, new = _find(deployed, path), _find(wanted, path)
        if old is not None and old != new:
            yield SettingChange(path, old, new, CHANGES[path][cloud].find(old, new))


def _find(content: Any, path: str) -> Any:
    for part in path.split("."):
        content = content.get(part) if isinstance(content, Mapping) else None
    return content


def _both(transitions: Transitions) -> Mapping[Cloud, Transitions]:
    return {Cloud.AZURE: transitions, Cloud.AWS: transitions}


def _per_cloud(azure: Transitions, aws: Transitions) -> Mapping[Cloud, Transitions]:
    return {Cloud.AZURE: azure, Cloud.AWS: aws}


def _shorter(what: str) -> Transitions:
    """A retention time: a shorter one deletes everything that is older than it."""
    change = Change(Effect.LOSES_DATA, f"{what} are deleted")
    return Transitions(Change(Effect.FREE), lambda old, new: change if new < old else None, f"a lower value {change}")


def _pin(what: str) -> Transitions:
    """The account that a stack may be in: setting or removing it moves nothing."""
    return Transitions(
        Change(Effect.FIXED, f"resources cannot move to another {what}"),
        lambda old, new: None if old and new else Change(Effect.FREE),
        "free to set to the one that the stack is in, and to remove",
    )


def _evaluate_version(old: str, new: str) -> Change | None:
    """Both services upgrade one minor version at a time, and never back."""
    (old_major, old_minor), (major, minor) = (tuple(map(int, version.split("."))) for version in (old, new))
    if (major, minor) < (old_major, old_minor):
        return Change(
            Effect.FIXED, "a cluster cannot go back to an older version", "the versions after it can be chosen"
        )
    if major != old_major or minor > old_minor + 1:
        following = f"{old_major}.{old_minor + 1}"
        return Change(Effect.FIXED, "a cluster is upgraded one minor version at a time", f"or deploy {following} first")
    return None


def _evaluate_gpu_size(old: str, new: str) -> Change | None:
    """Evaluate a change of the size; an empty size means that there is no pool."""
    if not old:
        return Change(Effect.FREE)
    return None if new else _NO_GPUS


def _evaluate_disk(least_growth: float) -> Callable[[int, int], Change | None]:
    def evaluate(old: int, new: int) -> Change | None:
        if new < old:
            return Change(Effect.FIXED, "the disk of a database only grows", "a smaller disk needs another database")
        if new < old * least_growth:
            least = math.ceil(old * least_growth)
            return Change(Effect.FIXED, f"a disk grows by {least_growth - 1:.0%} or more", f"or use {least} or more")
        return None

    return evaluate


_UNUSED = Transitions(Change(Effect.NONE))
_FREE = Transitions(Change(Effect.FREE))
# Source: https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/#automatic-pruning
_OTHER_MODELS = Transitions(Change(Effect.INTERRUPTS, "models that are not in the new place are deleted"))
_NO_PIPELINES = Change(Effect.LOSES_DATA, "pipelines, their runs and the artifacts of these are deleted")
_NO_GPUS = Change(Effect.INTERRUPTS, "the pool is deleted; pods that request a GPU are ended and wait for a node")
_WITHOUT_POOL = f"adding the pool is free; removing it {_NO_GPUS}"
_SIGN_IN = Transitions(Change(Effect.INTERRUPTS, "people have to sign in again"))
_TAG = _per_cloud(
    # The provider's preview of an update does not know what the cloud will return, not even an identity's principal.
    # Source: https://github.com/pulumi/pulumi-azure-native/issues/1080
    Transitions(
        Change(
            Effect.FREE,
            "a tag of every resource; the preview lists role assignments of identities, and what depends on them, as "
            "replaced, because it does not know that their principals stay the same; the update replaces nothing",
        )
    ),
    # The tags of instances and volumes are part of a launch template, and a new version of that replaces the nodes.
    # Source: https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html
    Transitions(Change(Effect.ROLLS_NODES, "a tag of every resource, including nodes")),
)
_CREATED_WITH = "every resource would have to be created again"
# Source: https://learn.microsoft.com/azure/aks/upgrade-aks-cluster and
# https://docs.aws.amazon.com/eks/latest/userguide/update-cluster.html
_VERSION = Transitions(
    Change(Effect.ROLLS_NODES, "the control plane first, then all nodes"),
    _evaluate_version,
    "fixed for an older version and for more than one minor version at once",
)

# AKS leaves nodes above a new maximum to its autoscaler. The number of nodes of an EKS node group has to be within its
# bounds, so a deployment lowers it: EKS removes nodes after at most 15 minutes, even against PodDisruptionBudgets.
# Source: https://learn.microsoft.com/azure/aks/cluster-autoscaler-overview and
# https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html
_FEWER_NODES = Change(
    Effect.INTERRUPTS, "nodes in excess of it are removed; their pods have 15 minutes to move to other nodes"
)
_MAXIMUM = _per_cloud(
    _FREE,
    Transitions(
        Change(Effect.FREE),
        lambda old, new: _FEWER_NODES if new < old else None,
        f"a lower value {_FEWER_NODES}",
    ),
)

CHANGES: Mapping[str, Mapping[Cloud, Transitions]] = {
    "cloud": _both(Transitions(Change(Effect.FIXED, _CREATED_WITH))),
    "environment": _per_cloud(
        Transitions(Change(Effect.FREE, "a tag, and the defaults of other settings, which have their own effects")),
        Transitions(
            Change(Effect.ROLLS_NODES, "a tag, and the defaults of other settings, which have their own effects")
        ),
    ),
    "location": _both(Transitions(Change(Effect.FIXED, _CREATED_WITH))),
    "organization": _both(Transitions(Change(Effect.FIXED, f"it is part of all names, so {_CREATED_WITH}"))),
    "owner": _TAG,
    "costCenter": _TAG,
    "tags": _TAG,
    "account": _per_cloud(_UNUSED, _pin("account")),
    "subscription": _per_cloud(_pin("subscription"), _UNUSED),
    "tenant": _per_cloud(_pin("tenant"), _UNUSED),
    # Neither restarts anything, unless the new window on AWS has already begun and maintenance is pending.
    # Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBInstance.html
    "maintenance": _both(_FREE),
    # Subnets in use cannot move: https://learn.microsoft.com/azure/virtual-network/manage-subnet-delegation and
    # https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html (the first block of a VPC is permanent)
    "network.cidr": _both(Transitions(Change(Effect.FIXED, "a network that is in use cannot move"))),
    # AKS: `Changing property 'networkProfile.podCidr' is not allowed`, likewise for services.
    # Source: https://learn.microsoft.com/azure/aks/azure-cni-overlay
    "network.podCidr": _per_cloud(
        Transitions(Change(Effect.FIXED, "AKS keeps the ranges that a cluster was created with")), _UNUSED
    ),
    # EKS: `serviceIpv4Cidr` can be set when a cluster is created, so the provider replaces the cluster.
    # Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html
    "network.serviceCidr": _per_cloud(
        Transitions(Change(Effect.FIXED, "AKS keeps the ranges that a cluster was created with")),
        Transitions(Change(Effect.LOSES_DATA, "the cluster is replaced, with everything on its volumes")),
    ),
    "network.hub": _both(Transitions(Change(Effect.INTERRUPTS, "connections through the former hub end"))),
    "cluster.kubernetesVersion": _both(_VERSION),
    # With an integrated API server, AKS changes from private to public and back in place.
    # Source: https://learn.microsoft.com/azure/aks/api-server-vnet-integration
    "cluster.authorizedRanges": _both(
        Transitions(
            Change(Effect.FREE),
            lambda old, new: (
                None
                if bool(old) == bool(new)
                else Change(Effect.INTERRUPTS, "the API becomes public or private, and has another address")
            ),
            "a change between none and some interrupts: the API gets another address",
        )
    ),
    "cluster.privateAccessFrom": _both(_FREE),
    "cluster.admins": _both(_FREE),
    "cluster.login": _per_cloud(_FREE, _UNUSED),
    # AKS: the size of a pool cannot be changed, and a cluster cannot be without its system pool.
    # Source: https://learn.microsoft.com/azure/aks/resize-node-pool
    "cluster.systemPool.size": _per_cloud(
        Transitions(Change(Effect.FIXED, "AKS cannot resize a pool, and cannot be without its system pool")),
        Transitions(Change(Effect.ROLLS_NODES, "a new node group is created before the old one is deleted")),
    ),
    "cluster.systemPool.minimum": _both(_FREE),
    "cluster.systemPool.maximum": _MAXIMUM,
    "cluster.userPool.size": _per_cloud(
        Transitions(Change(Effect.INTERRUPTS, "the pool is replaced; its pods wait for the new nodes")),
        Transitions(Change(Effect.ROLLS_NODES, "a new node group is created before the old one is deleted")),
    ),
    "cluster.userPool.minimum": _both(_FREE),
    "cluster.userPool.maximum": _MAXIMUM,
    # Karpenter replaces nodes that no longer meet their pool's requirements, within the pool's disruption budget.
    # Source: https://karpenter.sh/docs/concepts/disruption/#drift
    "cluster.gpuPool.size": _per_cloud(
        Transitions(
            Change(Effect.INTERRUPTS, "the pool is replaced; its pods wait for the new nodes"),
            _evaluate_gpu_size,
            _WITHOUT_POOL,
        ),
        Transitions(
            Change(Effect.ROLLS_NODES, "Karpenter replaces the nodes one after another"),
            _evaluate_gpu_size,
            _WITHOUT_POOL,
        ),
    ),
    # Neither AKS' autoscaler nor Karpenter removes nodes in use that are above a new maximum.
    # Source: https://karpenter.sh/docs/concepts/nodepools/#speclimits
    "cluster.gpuPool.maximum": _both(_FREE),
    "gateway.domain": _both(
        Transitions(Change(Effect.INTERRUPTS, "models and services get new names, which your DNS has to resolve"))
    ),
    "gateway.issuer": _both(
        Transitions(Change(Effect.INTERRUPTS, "clients have to trust the new certificate's authority"))
    ),
    "gateway.acmeServer": _both(
        Transitions(Change(Effect.INTERRUPTS, "clients have to trust the new certificate's authority"))
    ),
    "gateway.acmeEmail": _both(_FREE),
    "gateway.acmeHosts": _both(Transitions(Change(Effect.FREE, "the certificate is issued again"))),
    # Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-scaling-resources and
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Overview.DBInstance.Modifying.html
    "database.size": _both(Transitions(Change(Effect.INTERRUPTS, "the database server restarts"))),
    # Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-storage and
    # https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBInstance.html: RDS rounds an increase of
    # less than 10 % up; and the new maximum, which is in proportion to the size, has to be 10 % above the size that the
    # disk has, which may be the old maximum.
    "database.storageGb": _per_cloud(
        Transitions(Change(Effect.FREE), _evaluate_disk(1), "a lower value is fixed: disks only grow"),
        Transitions(Change(Effect.FREE), _evaluate_disk(1.1), "fixed for a lower value and for less than 10 % more"),
    ),
    "database.backupDays": _both(_shorter("older backups")),
    # The provider replaces the machines; there are none while no job runs.
    "training.size": _per_cloud(Transitions(Change(Effect.INTERRUPTS, "running jobs are ended")), _FREE),
    "training.maximumNodes": _both(_FREE),
    "training.outboundHosts": _per_cloud(
        Transitions(Change(Effect.FREE, "the first host adds a firewall, which takes about ten minutes")), _FREE
    ),
    # Source: https://learn.microsoft.com/azure/azure-monitor/logs/data-retention-configure and
    # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
    "telemetry.retentionDays": _both(_shorter("older logs and metrics")),
    "telemetry.alertEmail": _per_cloud(
        _FREE, Transitions(Change(Effect.FREE, "alerts arrive once the new address has confirmed the subscription"))
    ),
    "telemetry.tracePercent": _both(Transitions(Change(Effect.FREE, "pods of models use it when they next start"))),
    "telemetry.errorTracking": _both(_FREE),
    **{
        f"alerting.{name}": _both(_FREE)
        for name in ("slack", "teams", "pagerduty", "heartbeat", "smtpHost", "smtpUser", "smtpPassword", "runbooks")
    },
    "cost.monthlyBudget": _both(_FREE),
    **{
        f"cost.usage.{name}": _both(Transitions(Change(Effect.FREE, "only estimates change")))
        for name in (
            *("nodeHours", "databaseHours", "trainingHours", "networkGb", "objectsGb", "imagesGb", "logsGb"),
            *("flowLogsGb", "tableGb", "tableRequestsMillion", "requestsMillion"),
        )
    },
    "gitops.repository": _both(_OTHER_MODELS),
    "gitops.revision": _both(_OTHER_MODELS),
    "gitops.path": _both(_OTHER_MODELS),
    "gitops.tokenSecret": _both(_FREE),
    "images.promotion": _both(Transitions(Change(Effect.FREE, "promotions and rollouts continue in new pods"))),
    "images.experiment": _both(Transitions(Change(Effect.FREE, "requests go through new pods, one after the other"))),
    "images.drift": _both(Transitions(Change(Effect.FREE, "new pods collect the inference log"))),
    "images.training": _both(Transitions(Change(Effect.FREE, "training runs in progress end with the former image"))),
    "images.registries": _both(Transitions(Change(Effect.FREE, "running pods are kept, and new ones are evaluated"))),
    "lifecycle.gitToken": _both(_FREE),
    "lifecycle.pullRequests": _both(_FREE),
    "lifecycle.forgeUrl": _both(_FREE),
    "lifecycle.dispatchProject": _both(
        Transitions(Change(Effect.FREE, "waiting challengers are promoted the other way"))
    ),
    "lifecycle.dispatchToken": _both(_FREE),
    "lifecycle.notifications": _both(_FREE),
    # Source: https://learn.microsoft.com/azure/cosmos-db/nosql/time-to-live: items count from when they were written.
    # DynamoDB's items contain the time at which they expire; existing items keep it.
    "experiments.retentionDays": _per_cloud(
        _shorter("older assignments, predictions and outcomes"),
        Transitions(Change(Effect.FREE, "it applies to items written from then on")),
    ),
    "drift.retentionDays": _both(_shorter("older inferences and reports")),
    "retraining.models": _both(Transitions(Change(Effect.FREE, "training runs in progress are completed"))),
    "retraining.scheduled": _both(_FREE),
    "retraining.coolDownHours": _both(_FREE),
    # Argo CD deletes everything that it applied, including volumes and the custom resource definitions of runs.
    "pipelines.enabled": _both(
        Transitions(
            Change(Effect.FREE),
            lambda old, new: _NO_PIPELINES if old and not new else None,
            f"from true to false {_NO_PIPELINES}",
        )
    ),
    **{
        f"sso.{name}": _both(_SIGN_IN)
        for name in (
            "issuer",
            "authorizationUrl",
            "tokenUrl",
            "keysUrl",
            "clientId",
            "clientSecret",
            "scopes",
            "adminGroup",
            "viewerGroup",
        )
    },
    "resilience.deletionProtection": _both(_FREE),
    "resilience.retainData": _both(
        Transitions(Change(Effect.FREE, "existing volumes keep the reclaim policy that they were created with"))
    ),
    # A standby is added and removed while the server runs.
    # Source: https://learn.microsoft.com/azure/reliability/reliability-postgresql-flexible-server and
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.MultiAZSingleStandby.html
    "resilience.multiZoneDatabase": _both(_FREE),
    # Source: https://azure.github.io/PSRule.Rules.Azure/en/rules/Azure.Cosmos.AvailabilityZone
    "resilience.multiZoneExperiments": _per_cloud(
        Transitions(Change(Effect.FIXED, "Cosmos DB spreads a region over zones when the account is created")), _UNUSED
    ),
    "resilience.natGatewayPerZone": _per_cloud(
        _UNUSED, Transitions(Change(Effect.INTERRUPTS, "open connections to the internet end"))
    ),
    "resilience.privateEndpointPerZone": _per_cloud(_UNUSED, _FREE),
    "resilience.controlPlaneSla": _per_cloud(_FREE, _UNUSED),
    # Only the portal changes it, to provisioned throughput and never back.
    # Source: https://learn.microsoft.com/azure/cosmos-db/how-to-change-capacity-mode
    "resilience.provisionedThroughput": _per_cloud(
        Transitions(Change(Effect.FIXED, "a deployment cannot change the capacity mode of a Cosmos DB account")),
        _UNUSED,
    ),
    "resilience.replicas": _both(_FREE),
    # Source: https://learn.microsoft.com/azure/storage/blobs/soft-delete-blob-overview and
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
    "resilience.artifactVersionDays": _both(_shorter("older versions of artifacts")),
    # Source: https://learn.microsoft.com/azure/cosmos-db/continuous-backup-restore-introduction
    "resilience.experimentsBackupDays": _per_cloud(_shorter("older backups"), _UNUSED),
    "resilience.secretRecoveryDays": _per_cloud(_UNUSED, _FREE),
    "resilience.backupStore": _both(Transitions(Change(Effect.FREE, "existing backups stay where they are"))),
    # Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-backup-restore and
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ReplicateBackups.html
    "resilience.secondLocation": _per_cloud(
        Transitions(
            Change(
                Effect.FIXED, "Azure decides when a server is created whether its backups are kept in a second region"
            )
        ),
        Transitions(Change(Effect.FREE, "copies in the former region are deleted")),
    ),
    "resilience.standby": _both(_FREE),
}
