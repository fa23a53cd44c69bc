"""Azure Machine Learning: network access of workspaces and compute."""

from kernel.paths import look_up
from kernel.values import UNKNOWN
from policies.engine.expectations import IS_FALSE, expect, one_of, pass_if_any
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control

WORKSPACE = ("azure-native:machinelearningservices:Workspace", "azure-native:machinelearningservices:Registry")
ENDPOINT = ("azure-native:machinelearningservices:OnlineEndpoint",)
COMPUTE = ("azure-native:machinelearningservices:Compute",)


@control(
    "azure-ml-public-network",
    title="Machine Learning workspaces, registries and online endpoints are reached through private endpoints only",
    severity="high",
    types=WORKSPACE + ENDPOINT,
    remedy="set publicNetworkAccess to Disabled",
    references=("CKV_AZURE_144", "CKV2_AZURE_49", "AzPolicy:public-network"),
)
def public_network(props: Props) -> Findings:
    risk = "it is reachable from the Internet"
    paths = ("properties.publicNetworkAccess", "publicNetworkAccess")  # of endpoints, and of the others
    yield from pass_if_any(expect(props, path, one_of("Disabled"), risk) for path in paths)


@control(
    "azure-ml-node-public-ip",
    title="Machine Learning nodes have no public addresses",
    severity="high",
    types=COMPUTE,
    remedy="set properties.properties.enableNodePublicIp to false",
    references=("AzPolicy:compute-in-vnet",),
)
def node_public_ip(props: Props) -> Findings:
    kind = look_up(props, "properties.computeType")
    if kind is UNKNOWN:
        yield Undecided("properties.computeType")
    elif kind in ("AmlCompute", "ComputeInstance"):  # nodes of attached clusters belong to those clusters
        path = "properties.properties.enableNodePublicIp"
        yield from expect(props, path, IS_FALSE, "every node has a public address")
