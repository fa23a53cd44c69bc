"""Azure Machine Learning: network, key and identity of workspaces, and access to and cost of compute."""

from collections.abc import Mapping

from kernel.paths import look_up
from kernel.values import UNKNOWN
from policies.engine.expectations import (
    IS_TRUE,
    Requirement,
    at_most,
    expect,
    expect_set,
    one_of,
)
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control

WORKSPACE = ("azure-native:machinelearningservices:Workspace",)
COMPUTE = ("azure-native:machinelearningservices:Compute",)
KIND = "properties.computeType"


def _expect_by_kind(props: Props, findings: Mapping[str, Findings]) -> Findings:
    """The findings for the kind of compute of the resource; none for a kind that is not listed."""
    kind = look_up(props, KIND)
    if kind is UNKNOWN:
        yield Undecided(KIND)
    elif isinstance(kind, str):
        yield from findings.get(kind, iter(()))


@control(
    "azure-ml-managed-network",
    title="Machine Learning workspaces reach approved destinations only",
    severity="high",
    types=WORKSPACE,
    remedy="set managedNetwork.isolationMode to AllowOnlyApprovedOutbound",
    references=("AzPolicy:allow-only-approved-outbound",),
)
def managed_network(props: Props) -> Findings:
    path = "managedNetwork.isolationMode"
    risk = "a job can send data to any address"
    yield from expect(props, path, one_of("AllowOnlyApprovedOutbound"), risk)


@control(
    "azure-ml-kms",
    title="Machine Learning workspaces are encrypted with a customer-managed key",
    severity="medium",
    types=WORKSPACE,
    remedy="set encryption.status to Enabled, with keyVaultProperties; it cannot be changed later",
    references=("AzPolicy:CMK",),
)
def kms(props: Props) -> Findings:
    risk = "runs and metrics are not encrypted with a key of the subscription"
    yield from expect(props, "encryption.status", one_of("Enabled"), risk)


@control(
    "azure-ml-identity",
    title="Machine Learning workspaces have a user-assigned identity",
    severity="medium",
    types=WORKSPACE,
    remedy="set identity.type to UserAssigned, with userAssignedIdentities",
    references=("AzPolicy:UAMI",),
)
def identity(props: Props) -> Findings:
    def is_assigned(kind: object) -> bool:
        return isinstance(kind, str) and "userassigned" in kind.lower()

    assigned = Requirement("must include UserAssigned", is_assigned)
    risk = "Azure grants the workspace's identity the role Contributor in the whole resource group"
    yield from expect(props, "identity.type", assigned, risk)


@control(
    "azure-ml-compute-local-auth",
    title="Machine Learning compute has no local accounts",
    severity="medium",
    types=COMPUTE,
    remedy="set properties.disableLocalAuth to true",
    references=("CKV_AZURE_142", "AzPolicy:compute-local-auth"),
)
def compute_local_auth(props: Props) -> Findings:
    path = "properties.disableLocalAuth"
    yield from expect(props, path, IS_TRUE, "a leaked SSH key opens every node")


@control(
    "azure-ml-compute-ssh",
    title="Machine Learning nodes do not accept SSH from the Internet",
    severity="high",
    types=COMPUTE,
    remedy="set remoteLoginPortPublicAccess, or sshSettings.sshPublicAccess, of properties.properties to Disabled",
)
def compute_ssh(props: Props) -> Findings:
    risk, closed = "anyone can reach the SSH server of the nodes", one_of("Disabled")
    cluster = expect(props, "properties.properties.remoteLoginPortPublicAccess", closed, risk)
    # The SSH port of an instance is closed by default.
    path = "properties.properties.sshSettings.sshPublicAccess"
    instance = expect(props, path, closed, risk, absent_passes=True)
    yield from _expect_by_kind(props, {"AmlCompute": cluster, "ComputeInstance": instance})


@control(
    "azure-ml-compute-scale-to-zero",
    title="Machine Learning clusters have no nodes when there are no jobs",
    severity="low",
    types=COMPUTE,
    remedy="set properties.properties.scaleSettings.minNodeCount to 0",
    references=("CKV_AZURE_150",),
)
def compute_scale_to_zero(props: Props) -> Findings:
    path = "properties.properties.scaleSettings.minNodeCount"
    nodes = expect(props, path, at_most(0), "idle nodes are paid for")
    yield from _expect_by_kind(props, {"AmlCompute": nodes})


@control(
    "azure-ml-compute-spot",
    title="Machine Learning clusters use low-priority machines",
    severity="low",
    types=COMPUTE,
    remedy="set properties.properties.vmPriority to LowPriority; it cannot be changed later",
)
def compute_spot(props: Props) -> Findings:
    path = "properties.properties.vmPriority"
    spare = expect(props, path, one_of("LowPriority"), "training costs up to five times as much")
    yield from _expect_by_kind(props, {"AmlCompute": spare})


@control(
    "azure-ml-compute-idle-shutdown",
    title="Machine Learning instances stop when they are idle",
    severity="low",
    types=COMPUTE,
    remedy="set properties.properties.idleTimeBeforeShutdown, such as PT30M",
    references=("AzPolicy:idle-shutdown",),
)
def compute_idle_shutdown(props: Props) -> Findings:
    stops = expect_set(props, "properties.properties.idleTimeBeforeShutdown", "idle instances are paid for")
    yield from _expect_by_kind(props, {"ComputeInstance": stops})
