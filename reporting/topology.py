"""Reads the topology of a stack: its networks, and which workload reaches which store."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.access import WORKLOADS, Access, Store
from kernel.paths import look_up
from kernel.values import ABSENT
from reporting.resources import list_custom

_GROUPS = ("NetworkSecurityGroup", "SecurityGroup")
# The sources of rules that admit anybody.
_ANYBODY = frozenset({"*", "0.0.0.0/0", "::/0", "Internet", "Any"})


@dataclass(frozen=True)
class Subnet:
    name: str
    block: str
    zone: str


@dataclass(frozen=True)
class Rule:
    """Traffic that a security group admits; `is_open` if the internet may be the source."""

    text: str
    is_open: bool


@dataclass(frozen=True)
class SecurityGroup:
    name: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Network:
    name: str
    blocks: str
    subnets: tuple[Subnet, ...]
    groups: tuple[SecurityGroup, ...]
    endpoints: int


def read_networks(resources: Sequence[Mapping[str, Any]]) -> list[Network]:
    """The networks of a stack, usually one."""
    custom = list_custom(resources)
    subnets = tuple(_read_subnet(each) for each in custom if _has_kind(each, "Subnet"))
    groups = tuple(_read_group(each) for each in custom if _has_kind(each, *_GROUPS))
    endpoints = sum(_has_kind(each, "PrivateEndpoint", "VpcEndpoint") for each in custom)
    return [
        Network(_name(each), _read_blocks(each), subnets, groups, endpoints)
        for each in custom
        if _has_kind(each, "VirtualNetwork", "Vpc")
    ]


def list_exposures(resources: Sequence[Mapping[str, Any]], urns: Collection[str]) -> list[tuple[str, str]]:
    """Group and rule of each rule that admits the internet, for the security groups among `urns`."""
    groups = [each for each in list_custom(resources) if each["urn"] in urns and _has_kind(each, *_GROUPS)]
    return [(_name(each), rule.text) for each in groups for rule in _read_group(each).rules if rule.is_open]


@dataclass(frozen=True)
class Line:
    """A workload's access to a store, drawn from left to right."""

    workload: str
    store: str
    access: str
    start: int
    end: int


@dataclass(frozen=True)
class AccessGraph:
    """Workloads at the left, stores at the right; positions are in units of the drawing.

    width, height  size of the drawing
    left, right    where lines begin and end
    """

    workloads: Mapping[str, int]
    stores: Mapping[str, int]
    lines: tuple[Line, ...]
    height: int
    width: int = 640
    left: int = 190
    right: int = 450


_ROW = 30


def draw_access() -> AccessGraph:
    """Draw who reaches what, according to the access table."""
    workloads = {each.name: 20 + _ROW * index for index, each in enumerate(WORKLOADS)}
    height = 20 + _ROW * len(workloads)
    step = (height - 20) / len(Store)
    stores = {str(store): round(20 + step * (index + 0.5) - _ROW / 2) for index, store in enumerate(Store)}
    lines = tuple(
        Line(each.name, str(store), str(access), workloads[each.name], stores[str(store)])
        for each in WORKLOADS
        for store, access in each.needs.items()
    )
    return AccessGraph(workloads, stores, lines, height)


@dataclass(frozen=True)
class AccessRow:
    workload: str
    place: str
    cells: tuple[str, ...]


def list_access() -> tuple[list[str], list[AccessRow]]:
    """The access matrix: the columns after the first two, and a row for each workload."""
    columns = [*map(str, Store), "tracking server"]
    rows = [
        AccessRow(
            each.name,
            f"{each.namespace} / {each.service_account}",
            (*(_describe_access(each.needs.get(store)) for store in Store), "call" if each.calls_mlflow else ""),
        )
        for each in WORKLOADS
    ]
    return columns, rows


def _describe_access(access: Access | None) -> str:
    return str(access) if access else ""


def _read_subnet(resource: Mapping[str, Any]) -> Subnet:
    inputs = resource.get("inputs", {})
    block = look_up(inputs, "addressPrefix", look_up(inputs, "cidrBlock", ""))
    return Subnet(_name(resource), str(block), str(look_up(inputs, "availabilityZone", "")))


def _read_group(resource: Mapping[str, Any]) -> SecurityGroup:
    inputs = resource.get("inputs", {})
    rules = (*_read_azure_rules(inputs), *_read_aws_rules(inputs))
    return SecurityGroup(_name(resource), rules)


def _read_azure_rules(inputs: Mapping[str, Any]) -> Iterator[Rule]:
    for rule in look_up(inputs, "securityRules", ()):
        if rule.get("direction") == "Inbound" and rule.get("access") == "Allow":
            source = str(rule.get("sourceAddressPrefix", rule.get("sourceAddressPrefixes", "")))
            text = f"{rule.get('protocol', '')} {rule.get('destinationPortRange', '')} from {source}"
            yield Rule(text, source in _ANYBODY)


def _read_aws_rules(inputs: Mapping[str, Any]) -> Iterator[Rule]:
    for rule in look_up(inputs, "ingress", ()):
        blocks = [*(rule.get("cidrBlocks") or ()), *(rule.get("ipv6CidrBlocks") or ())]
        groups = ["the group itself"] if rule.get("self") else []
        sources = [*map(str, blocks), *groups, *("another group" for _ in rule.get("securityGroups") or ())]
        first, last = rule.get("fromPort"), rule.get("toPort")
        ports = (
            "all ports"
            if rule.get("protocol") == "-1"
            else f"{_number(first)}" + ("" if first == last else f"-{_number(last)}")
        )
        yield Rule(f"{rule.get('protocol', '')} {ports} from {', '.join(sources)}", bool(_ANYBODY & set(blocks)))


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _read_blocks(resource: Mapping[str, Any]) -> str:
    inputs = resource.get("inputs", {})
    blocks = look_up(inputs, "addressSpace.addressPrefixes")
    blocks = look_up(inputs, "cidrBlock", "") if blocks is ABSENT else blocks
    return blocks if isinstance(blocks, str) else ", ".join(map(str, blocks))


def _has_kind(resource: Mapping[str, Any], *kinds: str) -> bool:
    """Whether a resource's type ends in one of some names, in a cloud's package."""
    package, _, rest = str(resource["type"]).partition(":")
    return package in ("azure-native", "aws") and rest.rsplit(":", 1)[-1] in kinds


def _name(resource: Mapping[str, Any]) -> str:
    return str(resource["urn"]).rsplit("::", 1)[-1]
