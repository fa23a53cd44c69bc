"""Objects that resources carry, which controls evaluate like separate resources.

A list has its items, a patch a part of its object, custom resources have the pods that their operators run, and
workflows the objects that they create. Controls over a stack see only items of lists, because objects that a workflow
creates are temporary and not deployed with the stack.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from kernel.paths import Path, format_path, look_up
from kernel.values import UNKNOWN, is_list
from policies.engine.custom_resources import creates_objects, find_pods, is_custom, runs_pods
from policies.engine.findings import Finding, Props, Undecided
from policies.engine.partial import Partial, Unread, as_partial, is_decided_elsewhere, keep_known
from policies.engine.stack import Resource
from policies.engine.type_names import canonical_type
from policies.engine.workflow_objects import WorkflowObject, find_workflow_objects

POD: Final = "kubernetes:core/v1:Pod"
_LIST: Final = "kubernetes:core/v1:List"  # of objects of any kind, as kubectl prints it
_MOST_NESTED: Final = 5  # workflows that create workflows
_ITEM: Final = re.compile(r"items(\[\d+\])?")
_SUFFIX: Final = re.compile(r"^(kubernetes:.+:\w*)(Patch|List)$")


@dataclass(frozen=True)
class Carried:
    """An object in a resource, at the path `where`; the path of the resource itself is empty.

    If the object is partial, its other properties are elsewhere, so that only those that it sets can be wrong.
    """

    type: str
    props: Props
    where: str = ""

    def locate(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """The findings of a control on this object as findings on the resource."""
        for finding in findings:
            if not isinstance(finding, Undecided):
                yield f"{self.where}: {finding}" if self.where else finding
            elif not is_decided_elsewhere(self.props, finding.path):
                yield Undecided(_join(self.where, finding.path))


@cache
def certain_types(resource_type: str) -> tuple[str, ...]:
    """The types as which all resources of a type are evaluated, regardless of their properties."""
    own = canonical_type(resource_type)
    match = _SUFFIX.match(own)
    carried = [match.group(1)] if match else []
    return (own, *carried, *([POD] if any(map(runs_pods, (own, *carried))) else []))


@cache
def possible_types(resource_type: str) -> tuple[str, ...]:
    """The types as which resources of a type may be evaluated. Any custom resource may have pods."""
    certain = certain_types(resource_type)
    return (*certain, POD) if is_custom(certain[0]) and POD not in certain else certain


def may_carry(resource_type: str, types: Collection[str]) -> bool:
    """Whether a resource of a type may be evaluated as one of `types`."""
    if may_carry_any(resource_type):
        return any(each.startswith("kubernetes:") for each in types)
    return any(each in types for each in possible_types(resource_type))


@cache
def may_carry_any(resource_type: str) -> bool:
    """Whether a resource of a type may carry Kubernetes objects of any kind."""
    return resource_type == _LIST or any(map(creates_objects, certain_types(resource_type)))


def find_types(resource_type: str, props: Props) -> tuple[str, ...]:
    """The types as which a resource is evaluated, including those of the objects that it carries."""
    return tuple(sorted({each.type for each in find_carried(resource_type, props)}))


def find_carried(resource_type: str, props: Props) -> Iterator[Carried]:
    """The resource itself and the objects that it carries."""
    yield from _find(resource_type, props, "", 0)


def _find(resource_type: str, props: Props, where: str, depth: int) -> Iterator[Carried]:
    """An object at the path `where`, nested in `depth` workflows, and the objects that it carries."""
    own = canonical_type(resource_type)
    match = _SUFFIX.match(own)
    if match and match.group(2) == "Patch":
        complete = {**_describe(match.group(1)), **props}
        yield from _with_carried(Carried(match.group(1), as_partial(complete), where), depth)
    elif match and "items" in props:
        yield from _find_items(match.group(1), props, where, depth)
    else:
        yield from _with_carried(Carried(own, props, where), depth)


def expand_lists(stack: Iterable[Resource]) -> list[Resource]:
    """The resources of a stack, with lists replaced by their items."""
    return [each for resource in stack for each in (_expand(resource) if _is_list(resource) else (resource,))]


def _expand(resource: Resource) -> Iterator[Resource]:
    for item in find_carried(resource.type, resource.props):
        if _ITEM.fullmatch(item.where):
            yield replace(resource, type=item.type, props=item.props)


def _is_list(resource: Resource) -> bool:
    return _has_suffix(resource.type) and "items" in resource.props


@cache
def _has_suffix(resource_type: str) -> bool:
    return _SUFFIX.match(canonical_type(resource_type)) is not None


def _find_items(item_type: str, props: Props, list_path: str, depth: int) -> Iterator[Carried]:
    items = props["items"]
    if items is UNKNOWN:
        yield Carried(item_type, Unread(), _join(list_path, "items"))
    for index, item in enumerate(items if is_list(items) else ()):
        where = _join(list_path, f"items[{index}]")
        if item is UNKNOWN:
            yield Carried(item_type, Unread(), where)
        elif isinstance(item, Mapping):
            own_type = _find_type(item, item_type)
            complete = {**_describe(own_type), **item}
            yield from _with_carried(Carried(own_type, complete, where), depth)


def _find_type(item: Props, default: str) -> str:
    """The type of an item. Typed lists of the API state it once for all items, a `kind: List` in each item."""
    version, kind = look_up(item, "apiVersion"), look_up(item, "kind")
    if not isinstance(version, str) or not isinstance(kind, str):
        return default
    return canonical_type(f"kubernetes:{version if '/' in version else f'core/{version}'}:{kind}")


def _describe(type_: str) -> Props:
    _, version, kind = type_.split(":", 2)
    return {"apiVersion": version.removeprefix("core/"), "kind": kind}


def _with_carried(carried: Carried, depth: int) -> Iterator[Carried]:
    """An object and, if it is a custom resource, the objects that it carries."""
    yield carried
    if not is_custom(carried.type):
        return
    for pod in find_pods(carried.type, carried.props):
        # If the object is partial, unknown values may as well be elsewhere.
        props = as_partial(keep_known(pod.props)) if isinstance(carried.props, Partial) else pod.props
        yield Carried(POD, props, _join(carried.where, pod.path))
    if creates_objects(carried.type):
        for each in find_workflow_objects(carried.props):
            if each.content is not UNKNOWN or not isinstance(carried.props, Partial):
                yield from _find_object(each, _join(carried.where, each.path), depth)


def _find_object(created: WorkflowObject, where: str, depth: int) -> Iterator[Carried]:
    """An object that a workflow creates, evaluated as if it were declared. One of unknown kind may be a pod."""
    own_type = "" if created.content is UNKNOWN else _find_type(created.content, "")
    if not own_type or depth == _MOST_NESTED:
        yield Carried(POD, {"spec": UNKNOWN}, where)
    else:
        yield from _find(f"{own_type}Patch" if created.is_patch else own_type, created.content, where, depth + 1)


def _join(where: str, path: str | Path) -> str:
    return ".".join(part for part in (where, path if isinstance(path, str) else format_path(path)) if part)
