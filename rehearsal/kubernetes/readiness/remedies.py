"""Which setting of the project a reason calls for changing."""

from __future__ import annotations

import re
from collections.abc import Sequence

# What a reason calls for: the first pattern that is found in it. Names in braces are the pattern's own.
_REMEDIES: Sequence[tuple[str, str]] = (
    (
        r"untolerated taint \{node\.kubernetes\.io/(not-ready|unreachable)",
        "The nodes are not Ready: see their own line.",
    ),
    (
        r"which no node offers",
        "Add a node pool that has it. If the chart asks for none, a LimitRange with a `max` and no `default` does.",
    ),
    (
        r"more than the .* of pool (?P<pool>\w+)",
        "Take a larger groundwork:cluster.{pool}Pool.size, or lower resources.requests in the chart's values.",
    ),
    (
        r"pool (?P<pool>\w+) is full",
        "Raise groundwork:cluster.{pool}Pool.maximum (or .minimum, where no autoscaler runs, as on EKS), take a larger "
        ".size, or lower resources.requests in the chart's values.",
    ),
    (
        r"Insufficient |Too many pods",
        "Raise groundwork:cluster.userPool.maximum, .minimum or .size, or lower resources.requests in the chart's "
        "values.",
    ),
    (
        r"no nodes available to schedule pods|^\S+ pods ready: no nodes",
        "The cluster has no nodes: groundwork:cluster.systemPool.minimum and .userPool.minimum say how many.",
    ),
    (
        r"no persistent volumes available for this claim and no storage class is set",
        "Set storageClassName in the chart's values to the foundation's Cluster.storage_class: none is the default.",
    ),
    (
        r'(storageclass\.storage\.k8s\.io|storage class) "(?P<name>[^"]*)" (not found|does not exist)',
        "Set storageClassName in the chart's values to the foundation's Cluster.storage_class: there is no class "
        "{name}.",
    ),
    (
        r"created either by the external provisioner '(?P<driver>[^']+)'",
        "The driver {driver} is not in the cluster: add it to infra/azure/cluster.py or infra/aws/cluster.py, "
        "or take the foundation's Cluster.storage_class.",
    ),
    (
        r"ProvisioningFailed|FailedBinding|unbound immediate PersistentVolumeClaims",
        "Set storageClassName in the chart's values to the foundation's Cluster.storage_class.",
    ),
    (
        r'persistentvolumeclaim "(?P<name>[^"]*)" not found',
        "Declare the PersistentVolumeClaim {name}, or correct its name in the chart's values.",
    ),
    (
        r"no node has the labels (?P<labels>.*?)(;|$)",
        "Correct nodeSelector in the chart's values, or label a pool with {labels} (the foundation's NodePool.labels).",
    ),
    (
        r"untolerated taint(s|\(s\))? \{(?P<key>[^:}]+): (?P<value>[^}]*)\}",
        "Add a toleration of {key} ({value}) to `tolerations` in the chart's values, or a node pool without the taint.",
    ),
    (
        r"didn't match Pod's node affinity/selector",
        "Correct the affinity in the chart's values, or label the pool (the foundation's NodePool.labels).",
    ),
    (
        r"anti-affinity|topology spread",
        "Raise groundwork:cluster.userPool.minimum, lower the replicas, or let the chart's rule only prefer.",
    ),
    (
        r"exceeded quota: \S+, requested: (?P<asked>\S+), used: \S+, limited: (?P<limited>\S+)",
        "Lower replicas or resources in the chart's values (one more pod asks {asked}, the quota is {limited}), "
        "or raise the namespace's row in PROFILES, infra/cluster/namespaces.py.",
    ),
    (
        r"failed quota: (?P<quota>[^:]+): must specify (?P<what>.+)",
        "Set {what} in the chart's values, or a default in the namespace's LimitRange, infra/cluster/namespaces.py.",
    ),
    (
        r'violates PodSecurity "(?P<level>\w+)',
        "Set what is missing in the chart's securityContext values, or move it to a namespace of another level than "
        "{level}: PROFILES, infra/cluster/namespaces.py.",
    ),
    (
        r"(maximum|minimum) (?P<what>\S+) usage per (?P<scope>\w+) is (?P<bound>[^\s,]+)",
        "Keep {what} within {bound} in the chart's values, or change the namespace's LimitRange, "
        "infra/cluster/namespaces.py.",
    ),
    (
        r'serviceaccount "(?P<name>[^"]*)" not found',
        "Name one of the namespace's service accounts in the chart's values (serviceAccount.name), or declare {name} "
        "by a row of WORKLOADS, infra/access.py.",
    ),
    (
        r'failed calling webhook "(?P<name>[^"]*)"',
        "What answers {name} is not there: install the chart that brings it first, or leave its webhook out.",
    ),
    (
        r'admission webhook "(?P<name>[^"]*)" denied',
        "Change what {name} objects to in the chart's values.",
    ),
    (
        r"ValidatingAdmissionPolicy '(?P<name>[^']*)'",
        "Change what the policy {name} objects to in the chart's values, or the policy.",
    ),
    (
        r"DeadlineExceeded",
        "Raise the Job's activeDeadlineSeconds in the chart's values, or see what held its pods up.",
    ),
    (
        r"BackoffLimitExceeded|PodFailurePolicy",
        "See what the Job runs; in a rehearsal its pods fail only where rehearsal.groundwork/exit-code says so.",
    ),
    (
        r"finalizers remaining: (?P<finalizers>.+?) in \d",
        "What removes {finalizers} has to run: delete such objects before its controller, or take the finalizer off.",
    ),
    (
        r"NamespaceDeletionDiscoveryFailure",
        "An API service that does not answer holds up the deletion: delete its APIService.",
    ),
    (
        r"missing request for (?P<what>\w+)",
        "Set resources.requests.{what} in the chart's values: utilisation is a share of it.",
    ),
    (
        r"metrics\.k8s\.io|unable to (get|fetch) metrics|no metrics returned",
        "The cluster has no metrics API: AKS brings one, EKS by the add-on metrics-server (infra/aws/cluster.py).",
    ),
    (
        r"load.?balancer",
        "Let the cluster have a controller for load balancers, or set service.type in the chart's values to ClusterIP.",
    ),
    (
        r"selects no node",
        "Correct nodeSelector or tolerations in the chart's values, label the pool, or switch the DaemonSet off.",
    ),
)


def find_remedy(reason: str) -> str:
    """The remedy, empty where none is known, or where the reason has its own: the platform's admission rules do."""
    if "Remedy: " in reason:
        return ""
    for pattern, remedy in _REMEDIES:
        match = re.search(pattern, reason)
        if match:
            return remedy.format(**match.groupdict())
    return ""
