"""Remedies: which setting, chart value or object to change, depending on the reason."""

from __future__ import annotations

import re
from collections.abc import Sequence

# No program declares secrets that people store by hand, so the project description names them.
_GIVEN_SECRETS = "A rehearsal treats it as stored if its name is in given_secrets of rehearsal.yaml."

# (pattern, remedy): the first pattern found in a reason decides. Names in braces are groups of the pattern.
_REMEDIES: Sequence[tuple[str, str]] = (
    (
        r"untolerated taint \{node\.kubernetes\.io/(not-ready|unreachable)",
        "The nodes are not Ready: see their own problems.",
    ),
    (
        r"nvidia\.com/gpu, which no node offers",
        "Set groundwork:cluster.gpuPool.size, which adds a pool of nodes with GPUs and the plugin that offers them; on "
        "EKS Karpenter adds these nodes, whose process a rehearsal simulates. If the chart does not request it, a "
        "LimitRange with a `max` and no `default` does.",
    ),
    (
        r"which no node offers",
        "Add a node pool that has it. If the chart does not request it, a LimitRange with a `max` and no "
        "`default` does.",
    ),
    (
        r"more than the .* of pool (?P<pool>\w+)",
        "Set a larger groundwork:cluster.{pool}Pool.size, or lower resources.requests in the chart's values.",
    ),
    (
        r"pool (?P<pool>\w+) is full",
        "Raise groundwork:cluster.{pool}Pool.maximum (or .minimum, where no autoscaler runs, as on EKS), set a larger "
        ".size, or lower resources.requests in the chart's values.",
    ),
    (
        r"Insufficient |Too many pods",
        "Raise groundwork:cluster.userPool.maximum, .minimum or .size, or lower resources.requests in the chart's "
        "values.",
    ),
    (
        r"no nodes available to schedule pods|^\S+ pods ready: no nodes",
        "The cluster has no nodes: raise groundwork:cluster.systemPool.minimum and .userPool.minimum.",
    ),
    (
        r"no persistent volumes available for this claim and no storage class is set",
        "Set storageClassName in the chart's values to one of `kubectl get storageclass`: there is no default "
        "StorageClass.",
    ),
    (
        r'(storageclass\.storage\.k8s\.io|storage class) "(?P<name>[^"]*)" (not found|does not exist)',
        "Set storageClassName in the chart's values to one of `kubectl get storageclass`: there is no StorageClass "
        "{name}.",
    ),
    (
        r"created either by the external provisioner '(?P<driver>[^']+)'",
        "The CSI driver {driver} is not installed: add it to the cluster's add-ons, or set storageClassName in the "
        "chart's values to a class of `kubectl get storageclass` whose driver is.",
    ),
    (
        r"ProvisioningFailed|FailedBinding|unbound immediate PersistentVolumeClaims",
        "Set storageClassName in the chart's values to one of `kubectl get storageclass`.",
    ),
    (
        r'persistentvolumeclaim "(?P<name>[^"]*)" not found',
        "Declare the PersistentVolumeClaim {name}, or correct its name in the chart's values.",
    ),
    (
        r"no node has the labels (?P<labels>.*?)(;|$)",
        "Correct nodeSelector in the chart's values, or label a node pool with {labels} (NodePool.labels).",
    ),
    (
        r"untolerated taint(s|\(s\))? \{(?P<key>[^:}]+): (?P<value>[^}]*)\}",
        "Add a toleration of {key} ({value}) to `tolerations` in the chart's values, or a node pool without the taint.",
    ),
    (
        r"didn't match Pod's node affinity/selector",
        "Correct the affinity in the chart's values, or label the node pool (NodePool.labels).",
    ),
    (
        r"anti-affinity|topology spread",
        "Raise groundwork:cluster.userPool.minimum, lower the replicas, or make the chart's rule a preference.",
    ),
    (
        r"exceeded quota: (?P<quota>[^\s,]+), requested: (?P<requested>\S+), used: \S+, limited: (?P<limited>\S+)",
        "Lower replicas or resources in the chart's values (another pod requests {requested}, the quota is {limited}), "
        "or raise {limited} in the ResourceQuota {quota} of the namespace.",
    ),
    (
        r"failed quota: (?P<quota>[^:]+): must specify (?P<what>.+)",
        "Set {what} in the chart's values, or a default in the namespace's LimitRange.",
    ),
    (
        r'violates PodSecurity "(?P<level>\w+)',
        "Set the missing fields in the chart's securityContext values, or use a namespace whose label "
        "pod-security.kubernetes.io/enforce is not {level}.",
    ),
    (
        r"(maximum|minimum) (?P<what>\S+) usage per (?P<scope>\w+) is (?P<bound>[^\s,]+)",
        "Keep {what} within {bound} in the chart's values, or change it in the namespace's LimitRange.",
    ),
    (
        r'serviceaccount "(?P<name>[^"]*)" not found',
        "Name one of the namespace's service accounts in the chart's values (serviceAccount.name), or declare the "
        "ServiceAccount {name}.",
    ),
    (
        r'failed calling webhook "(?P<name>[^"]*)"',
        "Nothing serves the webhook {name}: install its chart first, or remove its webhook configuration.",
    ),
    (
        r'admission webhook "(?P<name>[^"]*)" denied',
        "Change in the chart's values what the webhook {name} denies.",
    ),
    (
        r"ValidatingAdmissionPolicy '(?P<name>[^']*)'",
        "Change in the chart's values what the policy {name} denies, or change the policy.",
    ),
    (
        r"vault https://(?P<vault>[\w-]+)\S* has no secret (?P<key>[\w/-]+)",
        "Store it, from within the network: `az keyvault secret set --vault-name {vault} --name {key} --file <file>`; "
        f"or correct the setting. {_GIVEN_SECRETS}",
    ),
    (
        r"Secrets Manager in (?P<region>\S+) has no secret (?P<key>[\w/-]+)",
        "Store it: `aws secretsmanager create-secret --region {region} --name {key} --secret-string file://<file>`; or "
        f"correct the setting. {_GIVEN_SECRETS}",
    ),
    (
        r"store has no secret (?P<key>[\w/-]+)",
        f"Store a secret {{key}}, or correct the name. {_GIVEN_SECRETS}",
    ),
    (
        r"app path does not exist",
        "Add the stack's folder to the GitOps repository, as `make new-stack` writes it, or correct "
        "groundwork:gitops.path.",
    ),
    (
        r"unable to resolve '(?P<revision>[^']*)' to a commit",
        "The GitOps repository has no {revision}: correct groundwork:gitops.revision.",
    ),
    (
        r"^source (?P<repository>\S+) .*(failed to list refs|repository not found|serves no git repository)",
        "The cluster does not reach groundwork:gitops.repository = '{repository}': correct the URL, or create the "
        "repository and let the cluster's network resolve and reach its host.",
    ),
    (
        r"DeadlineExceeded",
        "Raise the Job's activeDeadlineSeconds in the chart's values, or find out what delays its pods.",
    ),
    (
        r"BackoffLimitExceeded|PodFailurePolicy",
        "Find out why the Job's container fails; a rehearsed pod fails only with the annotation "
        "rehearsal.groundwork/exit-code.",
    ),
    (
        r"finalizers remaining: (?P<finalizers>.+?) in \d",
        "The controller that removes {finalizers} must be running: delete these objects before it, or remove the "
        "finalizer.",
    ),
    (
        r"NamespaceDeletionDiscoveryFailure",
        "An API service that does not answer blocks the deletion: delete its APIService.",
    ),
    (
        r"missing request for (?P<what>\w+)",
        "Set resources.requests.{what} in the chart's values: utilization is a percentage of it.",
    ),
    (
        r"metrics\.k8s\.io|unable to (get|fetch) metrics|no metrics returned",
        "The cluster has no metrics API: AKS provides one, EKS needs the add-on metrics-server.",
    ),
    (
        r"load.?balancer",
        "Install a controller for load balancers, or set service.type in the chart's values to ClusterIP.",
    ),
    (
        r"selects no node",
        "Correct nodeSelector or tolerations in the chart's values, label the node pool, or disable the DaemonSet.",
    ),
)


def find_remedy(reason: str) -> str:
    """The remedy for a reason; empty if none is known, or if the reason contains one, as with admission rules."""
    if "Remedy: " in reason:
        return ""
    for pattern, remedy in _REMEDIES:
        match = re.search(pattern, reason)
        if match:
            return remedy.format(**match.groupdict())
    return ""
