"""Constraints of AWS's inputs: each property of a type is mapped to the member of the API that the provider sends.

An input is required if the SDK requires it: if the API requires more, the provider fills it in or offers alternatives.
Names match automatically if they differ only in case, plural and the resource's own name, such as `name` and
`TableName`. `aws_members.yaml` names the operations of each type, and the members of properties that the provider
renames.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernel.yaml_document import read_mapping
from rehearsal.api_constraints.sdk_inputs import Input, InputType, find_inputs_class, list_inputs
from rehearsal.api_constraints.service_models import Shape, get_operation
from rehearsal.simulator.core.constraints import KEYS, compile_pattern

MEMBERS = Path(__file__).with_name("aws_members.yaml")
# A limit of length or number above this has no effect in practice, and is omitted.
_MOST = 1_000_000
_PAIRS = (("Key", "Value"), ("TagKey", "TagValue"), ("Name", "Value"))

Entries = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Member:
    """A member of an API's structure: its shape, and its label."""

    shape: Shape
    label: str

    def get(self, name: str) -> Member | None:
        """A member of this one: of a list's items, or of a map's values; None if it has no member of that name."""
        shape = self.shape
        while shape.type == "list":
            shape = shape.item
        if shape.type == "map":
            return Member(shape.item, f"{self.label}.{name}")
        if name not in shape.members:
            return None
        return Member(shape.members[name], f"{self.label}.{name}")

    def descend(self, path: str) -> Member | None:
        """The member at a path of names."""
        found: Member | None = self
        for name in path.split("."):
            found = found.get(name) if found else None
        return found

    def find(self, name: str, owner: str = "") -> Member | None:
        """The member that a property's name refers to, possibly prefixed with the name of the owning resource."""
        wanted = {_normalize(name), _normalize(owner + name)}
        names = list(self.shape.members)
        exact = [each for each in names if _normalize(each) in wanted]
        singular = {each.rstrip("s") for each in wanted}
        similar = [each for each in names if _normalize(each).rstrip("s") in singular]
        return next((self.get(each) for each in (*exact, *similar)), None)

    def replace(self, shape: Shape, suffix: str = "") -> Member:
        return Member(shape, self.label + suffix)


@dataclass
class TypeReader:
    """Reads the constraints of one resource type.

    folder      botocore's `data`
    operations  such as `eks.CreateCluster`; the first one that has a member is used
    members     members of the properties that have other names, keyed by path without `[*]`
    entries     the constraints found, keyed by path of the property
    followed    paths of the properties that are members of the API
    """

    folder: Path
    operations: Sequence[str]
    members: Mapping[str, str]
    entries: Entries = field(default_factory=dict)
    followed: set[str] = field(default_factory=set)

    def read(self, type_: str) -> None:
        for each in list_inputs(find_inputs_class(type_)):
            found = next(filter(None, (self._find(each.name, operation) for operation in self.operations)), None)
            self._follow(each.name, each, found)

    def _find(self, name: str, operation: str) -> Member | None:
        _, _, label = operation.partition(".")
        request = Member(get_operation(self.folder, operation), operation)
        if name not in self.members:
            return request.find(name, re.sub(r"^[A-Z][a-z]+", "", label))
        named, _, path = self.members[name].rpartition(":")
        return request.descend(path) if named in ("", label) else None

    def _follow(self, path: str, declared: Input, member: Member | None) -> None:
        if member is None:
            return
        if declared.is_required:
            self._add(path, member, {"required": True})
        elif declared.type.kind in ("text", "list", "map"):
            # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/docs/data-handling-and-conversion.md
            self._add(path, member, {"unset_if_empty": True})
        self._follow_type(path, declared.type, member)

    def _follow_type(self, path: str, kind: InputType, member: Member) -> None:
        self.followed.add(path)
        # A list of at most one item is a single value in the SDK.
        while member.shape.type == "list" and kind.kind in ("object", "text", "number"):
            member = member.replace(member.shape.item)
        if kind.kind == "text":
            self._add(path, member, dict(_read_text(member.shape)))
        elif kind.kind == "number" and member.shape.type in ("integer", "long", "float", "double"):
            self._add(path, member, dict(_read_limits(member.shape, "lowest", "highest")))
        elif kind.item is not None:
            (self._follow_list if kind.kind == "list" else self._follow_map)(path, kind.item, member)
        elif kind.owners:
            for each in list_inputs(kind.owners[0]):
                inner = f"{path}.{each.name}"
                mapped = self.members.get(inner.replace("[*]", ""))
                self._follow(inner, each, member.descend(mapped) if mapped else member.find(each.name))

    def _follow_list(self, path: str, item: InputType, member: Member) -> None:
        if member.shape.type == "list":
            self._add(path, member, dict(_read_limits(member.shape, "shortest", "longest")))
            self._follow_type(f"{path}[*]", item, member.replace(member.shape.item))
        elif member.shape.type == "structure":
            self._follow_type(f"{path}[*]", item, member)

    def _follow_map(self, path: str, item: InputType, member: Member) -> None:
        """Read a map, which the API may represent as a list of pairs, such as tags."""
        shape = member.shape
        if shape.type == "map":
            self._add(path, member, dict(_read_limits(shape, "shortest", "longest")))
            key, value = shape.key, shape.item
        else:
            members = shape.item.members if shape.type == "list" else {}
            names = next((pair for pair in _PAIRS if members.keys() >= set(pair)), None)
            if names is None:
                return
            key, value = members[names[0]], members[names[1]]
        self._add(f"{path}{KEYS}", member.replace(key, ".key"), dict(_read_text(key)))
        self._follow_type(f"{path}[*]", item, member.replace(value, ".value"))

    def _add(self, path: str, member: Member, found: Mapping[str, Any]) -> None:
        if found:
            self.entries.setdefault(path, {"member": member.label}).update(found)


def read_aws(folder: Path) -> Mapping[str, TypeReader]:
    """Readers of all types, which have read their constraints from `folder`, botocore's `data`."""
    readers: dict[str, TypeReader] = {}
    for type_, content in sorted(read_mapping(MEMBERS).items()):
        readers[type_] = TypeReader(folder, content["operations"], content.get("members", {}))
        readers[type_].read(type_)
    return readers


def list_apart(type_: str) -> Mapping[str, str]:
    """The properties of a type that are not members of its operations, and why."""
    apart: Mapping[str, str] = read_mapping(MEMBERS)[type_].get("apart", {})
    return apart


def _normalize(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _read_text(shape: Shape) -> Iterator[tuple[str, Any]]:
    if shape.type != "string":
        return
    if "enum" in shape.content:
        yield "values", shape.content["enum"]
    if "pattern" in shape.content and _limits_something(shape.content["pattern"]):
        yield "pattern", shape.content["pattern"]
    yield from _read_limits(shape, "shortest", "longest")


def _limits_something(pattern: str) -> bool:
    """Whether a pattern is also valid in Python, and does not match every text."""
    try:
        compiled = compile_pattern(pattern)
    except re.error:
        return False
    return any(compiled.fullmatch(text) is None for text in ("", "\n", "\0", "a", " ", "é", "-"))


def _read_limits(shape: Shape, low: str, high: str) -> Iterator[tuple[str, Any]]:
    least = shape.content.get("min")
    if least is not None and (low == "lowest" or least > 0):
        yield low, least
    if shape.content.get("max", _MOST) < _MOST:
        yield high, shape.content["max"]
