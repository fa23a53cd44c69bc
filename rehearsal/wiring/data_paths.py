"""Checks that pods may use the stores of the cloud that their configuration names.

A pod's arguments, variables and ConfigMaps name the buckets, accounts, tables, queues and servers of the stack that it
uses. Its identity needs a grant on each, and the store has to accept connections from pods. Whether the pod reads or
writes there is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from kernel.values import as_list
from rehearsal.kubernetes.readiness.pod_texts import PodUse, list_texts
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.wiring.grants import has_azure_role, has_cosmos_role, role_allows
from rehearsal.wiring.graph import Wiring, describe, get_name, mentions
from rehearsal.wiring.pod_identities import find_identity

_BUCKET, _TABLE, _QUEUE = "aws:s3/bucket:Bucket", "aws:dynamodb/table:Table", "aws:sqs/queue:Queue"
_ACCOUNT, _CONTAINER = "azure-native:storage:StorageAccount", "azure-native:storage:BlobContainer"
_COSMOS = "azure-native:cosmosdb:DatabaseAccount"
_DATABASE, _SUBNET = "aws:rds/instance:Instance", "aws:ec2/subnet:Subnet"
_NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
_BLOB_ROLES = ("Storage Blob Data Contributor", "Storage Blob Data Reader", "Storage Blob Data Owner")


@dataclass(frozen=True)
class _Use:
    """A store that is named in a text of a pod's configuration."""

    pod: PodUse
    store: Resource
    origin: str
    text: str


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    found = {(use.pod.owner, use.store.id): use for use in _list_uses(wiring)}
    for use in found.values():
        if use.store.type == _DATABASE:
            yield from _check_database(wiring, use)
            continue
        identity = find_identity(wiring, use.pod.namespace, use.pod.account)
        if identity is None:
            reason = f"{use.origin} names {describe(use.store)}, but its service account has no identity in the cloud"
            yield Problem(use.pod.owner, reason, "use a service account with an identity that may access it")
        elif not _is_granted(wiring, use, identity):
            reason = f"{use.origin} names {describe(use.store)}, which its identity {get_name(identity)} may not use"
            yield Problem(use.pod.owner, reason, "grant the identity access")


def _list_uses(wiring: Wiring) -> Iterator[_Use]:
    stores = [(name, store) for store in _list_stores(wiring) for name in _list_names(store)]
    for pod in wiring.pods:
        for origin, text in list_texts(wiring.cluster, pod.namespace, pod.spec):
            for name, store in stores:
                if mentions(text, name):
                    yield _Use(pod, store, origin, text)
            if "dynamodb://" in text:
                prefix = text.partition("dynamodb://")[2].split("/")[0].strip()
                tables = [table for table in wiring.clouds.all(_TABLE) if str(table.id).startswith(f"{prefix}-")]
                yield from (_Use(pod, table, origin, text) for table in tables[:1])


def _list_stores(wiring: Wiring) -> Iterator[Resource]:
    for type_ in (_BUCKET, _QUEUE, _ACCOUNT, _COSMOS, _DATABASE):
        yield from wiring.clouds.all(type_)


def _list_names(store: Resource) -> Iterator[str]:
    """Names that identify a store in a text, each long enough to be unambiguous."""
    if store.type == _DATABASE:
        yield str(store.outputs.get("address"))
    elif store.type == _QUEUE:
        yield str(store.inputs.get("name"))
    elif store.type == _BUCKET:
        yield str(store.inputs.get("bucket"))
    else:
        yield get_name(store)


def _is_granted(wiring: Wiring, use: _Use, identity: Resource) -> bool:
    """Whether an identity may use a store at all."""
    return _GRANTED[use.store.type](wiring, use, identity)


def _may_use_bucket(wiring: Wiring, use: _Use, role: Resource) -> bool:
    """Whether a role may list the bucket, and read or write in the folder that the text names."""
    name = str(use.store.inputs.get("bucket"))
    path = use.text.partition(f"s3://{name}/")[2].split()[:1]
    folder = path[0].strip("\"'").rstrip("/") if path else ""
    item = f"arn:aws:s3:::{name}/{folder}/x" if folder else f"arn:aws:s3:::{name}/x"
    listed = role_allows(wiring, role, "s3:ListBucket", f"arn:aws:s3:::{name}")
    return listed and any(role_allows(wiring, role, action, item) for action in ("s3:GetObject", "s3:PutObject"))


def _may_use_queue(wiring: Wiring, use: _Use, role: Resource) -> bool:
    return role_allows(wiring, role, "sqs:ReceiveMessage", str(use.store.outputs.get("arn")))


def _may_use_table(wiring: Wiring, use: _Use, role: Resource) -> bool:
    """Whether a role may query one of the tables with the same prefix."""
    prefix = use.store.id.rpartition("-")[0]
    tables = [table for table in wiring.clouds.all(_TABLE) if table.id.startswith(f"{prefix}-")]
    return any(role_allows(wiring, role, "dynamodb:Query", str(table.outputs.get("arn"))) for table in tables)


def _may_use_cosmos(wiring: Wiring, use: _Use, identity: Resource) -> bool:
    return has_cosmos_role(wiring, str(identity.outputs.get("principalId")), use.store.id)


def _may_use_account(wiring: Wiring, use: _Use, identity: Resource) -> bool:
    principal = str(identity.outputs.get("principalId"))
    return any(has_azure_role(wiring, principal, _BLOB_ROLES, target) for target in _list_blobs(wiring, use))


_GRANTED: Mapping[str, Callable[[Wiring, _Use, Resource], bool]] = {
    _BUCKET: _may_use_bucket,
    _QUEUE: _may_use_queue,
    _TABLE: _may_use_table,
    _COSMOS: _may_use_cosmos,
    _ACCOUNT: _may_use_account,
}


def _list_blobs(wiring: Wiring, use: _Use) -> Iterator[str]:
    """IDs of the containers of an account that a text may refer to: the one that it names, otherwise all."""
    containers = [
        container
        for container in wiring.clouds.all(_CONTAINER)
        if container.id.lower().startswith(f"{use.store.id.lower()}/")
    ]
    named = [each for each in containers if f"{get_name(each)}@{get_name(use.store)}" in use.text]
    yield from (container.id for container in named or containers)


def _check_database(wiring: Wiring, use: _Use) -> Iterator[Problem]:
    """Check that its security groups admit the nodes' subnets, in which pods have their addresses.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-networking-use-cases.html
    """
    groups = [wiring.clouds.find(str(id_)) for id_ in as_list(use.store.inputs.get("vpcSecurityGroupIds"))]
    port = int(use.store.inputs.get("port") or 5432)
    admitted = [
        IPv4Network(str(block))
        for group in groups
        for rule in as_list(group.inputs.get("ingress") if group else None)
        if rule.get("protocol") == "-1" or int(rule.get("fromPort", 0)) <= port <= int(rule.get("toPort", 0))
        for block in as_list(rule.get("cidrBlocks"))
    ]
    for subnet in list_node_subnets(wiring):
        block = IPv4Network(str(subnet.inputs.get("cidrBlock")))
        if not any(block.subnet_of(each) for each in admitted):
            reason = (
                f"{use.origin} names {describe(use.store)}, which accepts no connections to port {port} from {block}"
            )
            yield Problem(use.pod.owner, reason, "add the block of the nodes' subnet to a security group of the server")


def list_node_subnets(wiring: Wiring) -> list[Resource]:
    """The subnets of EKS's node groups."""
    ids = {str(subnet) for group in wiring.clouds.all(_NODE_GROUP) for subnet in as_list(group.inputs.get("subnetIds"))}
    return [subnet for id_ in sorted(ids) if (subnet := wiring.clouds.find(id_)) is not None]
