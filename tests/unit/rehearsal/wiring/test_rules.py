"""Connections of whole stacks, each cut on purpose: the rule for it reports that it is missing, and where.

Proves that the unchanged stacks pass every rule, and what each rule reports. Connections that no rule covers are
measured by the mutations (docs/mutations.md), and not proven here.
"""

from __future__ import annotations

import pytest

from rehearsal import wiring
from rehearsal.toolchain import ROOT
from rehearsal.wiring.metrics import read_catalogue
from tests.support.changed_wiring import Change, change_wiring, changed, replaced, without
from tests.support.declared_stack import DeclaredStack

pytestmark = pytest.mark.process  # Helm renders the charts

CATALOGUE = read_catalogue(ROOT / "platform" / "alerts" / "metrics")
Stacks = dict[str, DeclaredStack]


@pytest.mark.parametrize("cloud", ["azure", "aws"])
def test_an_unchanged_stack_has_no_missing_connections(stacks: Stacks, cloud: str) -> None:
    assert [problem.message for problem in wiring.find_problems(stacks[cloud].wiring, CATALOGUE)] == []


CUTS: list[tuple[str, Change, str]] = [
    # identities of pods
    (
        "azure",
        replaced("FederatedIdentityCredential", ":loki", ":locky", "identity-loki"),
        "service account monitoring/locky does not exist",
    ),
    (
        "azure",
        replaced("FederatedIdentityCredential", "monitoring:loki", "monitoring:*", "identity-loki"),
        "has a wildcard",
    ),
    ("azure", without("FederatedIdentityCredential", "identity-loki"), "does not trust the service account"),
    (
        "azure",
        changed("FederatedIdentityCredential", "issuer", "https://other/", "identity-loki"),
        "not that of the stack's cluster",
    ),
    ("azure", changed("FederatedIdentityCredential", "audiences", ["api://x"], "identity-loki"), "its audience"),
    ("azure", without("RoleAssignment", "identity-loki-logs"), "it has no role"),
    ("aws", without("ServiceAccount", "tempo"), "its service account does not exist"),
    ("aws", without("PodIdentityAssociation", "identity-tempo"), "has no identity in the cloud"),
    (
        "aws",
        replaced("Role", "Tag/kubernetes-namespace", "Tag/other", "identity-tempo"),
        "but not kubernetes-namespace",
    ),
    ("aws", replaced("Role", "sts:TagSession", "sts:Other", "identity-tempo"), "does not allow sts:TagSession"),
    ("aws", without("RolePolicy", "identity-tempo"), "it has no permissions"),
    # stores, keys, images, volumes
    ("aws", replaced("RolePolicy", "s3:ListBucket", "s3:Other", "identity-loki"), "may not use"),
    ("aws", replaced("RolePolicy", "kms:Decrypt", "kms:Other", "identity-loki"), "kms:Decrypt is missing"),
    ("azure", without("RoleAssignment", "secrets-encryption"), "may not use the key"),
    ("azure", changed("DiskEncryptionSet", "rotationToLatestKeyVersionEnabled", False), "Key platform, which rotates"),
    (
        "azure",
        changed("StorageAccount", "encryption.keyVaultProperties.keyVersion", "0" * 32, "artifacts"),
        "whose versions expire after P18M: it would keep that version",
    ),
    (
        "azure",
        changed("Key", "properties.attributes", {"expires": 1893456000}, "secrets-pinned-training"),
        "one version of Key training, which expires",
    ),
    (
        "azure",
        replaced("ManagedCluster", "/keys/kubernetes/", "/keys/kubernetes/0", "cluster"),
        "a version of Key kubernetes that another has replaced",
    ),
    (
        "azure",
        replaced("Workspace", "/keys/training/", "/keys/kubernetes/", "training"),
        "use too, so that neither can rotate alone",
    ),
    ("azure", without("RoleAssignment", "cluster-kubelet-pull"), "lacks AcrPull"),
    ("aws", without("RolePolicyAttachment", "karpenter-nodes-AmazonEC2ContainerRegistryPullOnly"), "cannot pull"),
    ("aws", without("Repository", "registry-drift"), "ECR does not create one on push"),
    ("aws", without("StorageClass", "groundwork"), "which does not exist"),
    (
        "aws",
        replaced("RolePolicy", "kms:CreateGrant", "kms:Other", "cluster-aws-ebs-csi-driver"),
        "may not: kms:Create",
    ),
    ("azure", without("RoleAssignment", "cluster-control-disks"), "cluster's identity may not read"),
    (
        "aws",
        changed("Pod", "spec.containers[0].volumeMounts", [], "alloy-deployment"),
        "no container mounts its volume",
    ),
    (
        "aws",
        changed("Pod", "spec.volumes[1].projected.sources", [], "rollout-controller-deployment"),
        "projects nothing",
    ),
    # secrets
    ("azure", without("RoleAssignment", "identity-external-secrets-secrets"), "may not read secrets"),
    (
        "aws",
        replaced("RolePolicy", "secretsmanager:Get", "x:Get", "identity-external-secrets"),
        "may not read the secret",
    ),
    # jobs of the managed training service
    ("azure", without("RoleAssignment", "training-jobs"), "which their identity UserAssignedIdentity"),
    ("azure", changed("Workspace", "managedNetwork.outboundRules", {}, "training"), "has no private endpoint to it"),
    # networks
    ("azure", without("VirtualNetworkLink", "network-azurecr"), "not linked to"),
    ("azure", without("PrivateDnsZoneGroup", "registry"), "its target's name resolves to the public address"),
    ("aws", without("RouteTableAssociation", "network-private-1"), "it has no route table"),
    ("aws", changed("VpcEndpoint", "privateDnsEnabled", False, "network-kms"), "does not resolve to it"),
    ("aws", changed("SecurityGroup", "ingress", [], "network-endpoints"), "do not admit the nodes' subnet"),
    ("aws", changed("SecurityGroup", "ingress", [], "database"), "accepts no connections to port 5432"),
    # alerts and logs
    ("aws", without("TopicSubscription"), "no subscription, so it notifies nobody"),
    ("aws", changed("MetricAlarm", "dimensions", {}, "alerts-database-busy"), "without the dimension"),
    ("aws", without("LogMetricFilter", "alerts-secrets-unavailable"), "nothing sends its metric"),
    ("azure", changed("MetricAlert", "actions", [], "alerts-database-busy"), "it notifies nobody"),
    ("azure", without("DiagnosticSetting", "audit-database"), "no diagnostic setting sends PostgreSQLLogs"),
    ("azure", without("DataCollectionRuleAssociation"), "no resource is associated with it"),
    ("aws", changed("Cluster", "enabledClusterLogTypes", [], "cluster"), "nothing writes to it"),
    ("aws", replaced("RolePolicy", "logs:PutLogEvents", "logs:Other", "audit"), "does not allow logs:PutLogEvents"),
    # nodes that Karpenter starts
    ("aws", without("AccessEntry", "karpenter-nodes"), "EC2_LINUX"),
    ("aws", without("EventTarget", "karpenter-interruptions-spot"), "it has no target for its events"),
    ("aws", without("QueuePolicy"), "does not allow it to send messages"),
    # maintenance at one time
    (
        "azure",
        changed("Server", "maintenanceWindow.dayOfWeek", 3, "database"),
        "maintained on Wednesday 22:00 UTC for 1",
    ),
    (
        "azure",
        changed("MaintenanceConfiguration", "maintenanceWindow.utcOffset", "-02:00", "cluster-maintenance-version"),
        "on Monday 00:00 UTC for 4 h",
    ),
    ("aws", changed("Instance", "maintenanceWindow", "sun:20:00-mon:00:00", "database"), "choose one time for all"),
    ("aws", changed("NodePool", "spec.disruption.budgets", [{"nodes": "10%"}], "spot"), "at any time"),
    ("aws", replaced("NodePool", "Drifted", "Empty", "user"), "replaced as soon as they differ from it"),
    ("aws", replaced("NodePool", "0 2 * * 1", "0 3 * * 1", "user"), "maintained on Sunday 23:00 UTC for 4 h"),
    # objects in the cluster
    ("aws", without("ClusterIssuer", "platform"), "names ClusterIssuer platform, which does not exist"),
    ("aws", without("Gateway", "platform"), "names Gateway platform, which does not exist"),
    ("azure", without("ServiceMonitor", "experiment-router"), "nothing scrapes its metrics"),
]


@pytest.mark.parametrize(("cloud", "cut", "message"), CUTS, ids=[f"{number}" for number in range(len(CUTS))])
def test_a_cut_connection_is_reported(stacks: Stacks, cloud: str, cut: Change, message: str) -> None:
    found = [problem.message for problem in wiring.find_problems(change_wiring(stacks[cloud], cut), CATALOGUE)]
    assert any(message in text for text in found), found
