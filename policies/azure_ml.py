"""Azure Machine Learning: the workspace and its compute stay inside the network."""

from policies.control import control
from policies.props import UNKNOWN, Props, Undecided, Verdicts, expect, is_false, lookup, one_of

WORKSPACE = ("azure-native:machinelearningservices:Workspace",)
COMPUTE = ("azure-native:machinelearningservices:Compute",)


@control(
    "azure-ml-public-network",
    title="Machine Learning workspaces are reached through private endpoints only",
    severity="high",
    types=WORKSPACE,
    remedy="set publicNetworkAccess to Disabled",
    anchors=("CKV_AZURE_144", "CKV2_AZURE_49", "AzPolicy:public-network"),
)
def public_network(props: Props) -> Verdicts:
    yield from expect(props, "publicNetworkAccess", one_of("Disabled"), "the workspace answers on the Internet")


@control(
    "azure-ml-node-public-ip",
    title="Machine Learning nodes have no public addresses",
    severity="high",
    types=COMPUTE,
    remedy="set properties.properties.enableNodePublicIp to false",
    anchors=("AzPolicy:compute-in-vnet",),
)
def node_public_ip(props: Props) -> Verdicts:
    kind = lookup(props, "properties.computeType")
    if kind is UNKNOWN:
        yield Undecided("properties.computeType")
    elif kind in ("AmlCompute", "ComputeInstance"):  # attached clusters bring their own nodes
        path = "properties.properties.enableNodePublicIp"
        yield from expect(props, path, is_false, "every node is on the Internet")
