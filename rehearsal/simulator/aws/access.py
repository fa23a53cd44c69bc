"""Who can reach the services of a stack on AWS: its Kubernetes API and its databases.

The registry, the buckets and the secrets are behind public APIs, where only IAM decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kernel.paths import look_up
from rehearsal.simulator.aws.rules import get_caller_role
from rehearsal.simulator.core.access import EVERYWHERE, ServiceAccess, admits, is_private
from rehearsal.simulator.core.circumstances import Caller
from rehearsal.simulator.core.resource_model import Resource, StateReader

_CLUSTER, _DATABASE = "aws:eks/cluster:Cluster", "aws:rds/instance:Instance"
_POLICY = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
_ADMINISTRATOR = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
# The messages are those of pulumi-kubernetes and client-go, up to the colon that precedes the reason.
_UNREACHABLE = (
    'configured Kubernetes cluster is unreachable: unable to load schema information from the API server: Get "{}": '
)


def describe_service_access(state: StateReader, caller: Caller) -> Iterator[ServiceAccess]:
    """Each cluster's API server and each database, and whether the caller can reach it."""
    for cluster in state.all(_CLUSTER):
        yield ServiceAccess("Kubernetes API", cluster.id, _find_cluster_refusal(state, cluster, caller))
    for database in state.all(_DATABASE):
        yield ServiceAccess("database", database.id, _find_database_refusal(state, database, caller))


def _find_cluster_refusal(state: StateReader, cluster: Resource, caller: Caller) -> str:
    """Source: https://docs.aws.amazon.com/eks/latest/userguide/cluster-endpoint.html and access-entries.html there."""
    unreachable = _UNREACHABLE.format(cluster.outputs["endpoint"])
    network = cluster.inputs.get("vpcConfig", {})
    if is_private(caller.address):
        if network.get("endpointPrivateAccess") is not True:
            return f"{unreachable}dial tcp: i/o timeout. The endpoint has no private access (endpointPrivateAccess)."
        groups = network.get("securityGroupIds", ())
        if caller.address and not _is_admitted(state, groups, caller.address, 443):
            return (
                f"{unreachable}dial tcp: i/o timeout. No security group of the cluster ({', '.join(groups) or 'none'}) "
                f"admits {caller.address} to port 443.{caller.name_setting('private')}"
            )
    elif network.get("endpointPublicAccess", True) is not True:
        return (
            f"{unreachable}dial tcp: i/o timeout. The endpoint is private (endpointPublicAccess is false), and "
            f"{caller.address} is outside: deploy from a connected network.{caller.name_setting('private')}"
        )
    elif not admits(network.get("publicAccessCidrs") or [EVERYWHERE], caller.address):
        return (
            f"{unreachable}dial tcp: i/o timeout. The endpoint's publicAccessCidrs do not contain {caller.address}."
            f"{caller.name_setting('public')}"
        )
    return (
        ""
        if _is_administrator(state, cluster, caller)
        else (
            f"{unreachable}the server has asked for the client to provide credentials. "
            f"{_get_role(cluster, caller)} has no access entry with the policy AmazonEKSClusterAdminPolicy."
            f"{caller.name_setting('admins')}"
        )
    )


def _is_administrator(state: StateReader, cluster: Resource, caller: Caller) -> bool:
    """Whether the caller has an administrator's access entry, or created a cluster that grants its creator access."""
    if look_up(cluster.inputs, "accessConfig.bootstrapClusterCreatorAdminPermissions", True) is not False:
        return caller.person == "deployer"
    return any(
        policy.inputs.get("clusterName") == cluster.id
        and policy.inputs.get("principalArn") == _get_role(cluster, caller)
        and policy.inputs.get("policyArn") == _ADMINISTRATOR
        for policy in state.all(_POLICY)
    )


def _get_role(cluster: Resource, caller: Caller) -> str:
    return get_caller_role({"account": str(cluster.outputs["arn"]).split(":")[4], **caller.describe()})


def _find_database_refusal(state: StateReader, database: Resource, caller: Caller) -> str:
    """Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_VPC.WorkingWithRDSInstanceinaVPC.html."""
    if database.inputs.get("publiclyAccessible") is not True and not is_private(caller.address):
        return f"connection timed out: it is not publiclyAccessible, and {caller.address} is outside of its network."
    groups = database.inputs.get("vpcSecurityGroupIds", ())
    port = int(database.inputs.get("port", 5432))
    if not caller.address or _is_admitted(state, groups, caller.address, port):
        return ""
    return f"connection timed out: none of its security groups admits {caller.address} to port {port}."


def _is_admitted(state: StateReader, groups: Iterable[str], address: str, port: int) -> bool:
    found = filter(None, map(state.find, groups))
    return any(
        admits(rule.get("cidrBlocks", ()), address)
        and (rule.get("protocol") == "-1" or rule.get("fromPort", 0) <= port <= rule.get("toPort", 65535))
        for group in found
        for rule in group.inputs.get("ingress", ())
    )
