"""What resources carry: other objects that controls judge as if each were a resource of its own.

A list has its items, a patch a part of its object, and custom resources have the pods that their operators run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from kernel.paths import format_path, look_up
from kernel.values import UNKNOWN, is_list
from policies.engine.custom_resources import find_pods, is_custom, runs_pods
from policies.engine.findings import Finding, Props, Undecided
from policies.engine.stack import Resource
from policies.engine.type_names import canonical_type

POD: Final = "kubernetes:core/v1:Pod"
_LIST: Final = "kubernetes:core/v1:List"  # of objects of any kind, as kubectl prints it
_SUFFIX: Final = re.compile(r"^(kubernetes:.+:\w*)(Patch|List)$")


@dataclass(frozen=True)
class Carried:
    """An object in a resource, at the path `where`; the resource itself at the empty path.

    Of a partial one the rest is elsewhere, so that only what it sets can be wrong.
    """

    type: str
    props: Props
    where: str = ""
    is_partial: bool = False

    def locate(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """The findings of a control on this object as findings on the resource."""
        for finding in findings:
            if isinstance(finding, Undecided):
                if not self.is_partial:
                    yield Undecided(".".join(part for part in (self.where, finding.path) if part))
            else:
                yield f"{self.where}: {finding}" if self.where else finding


@cache
def certain_types(resource_type: str) -> tuple[str, ...]:
    """The types as which the resources of a type are judged, whatever they contain."""
    own = canonical_type(resource_type)
    match = _SUFFIX.match(own)
    carried = [match.group(1)] if match else []
    return (own, *carried, *([POD] if any(map(runs_pods, (own, *carried))) else []))


@cache
def possible_types(resource_type: str) -> tuple[str, ...]:
    """The types as which the resources of a type may be judged. Any custom resource may have pods."""
    certain = certain_types(resource_type)
    return (*certain, POD) if is_custom(certain[0]) and POD not in certain else certain


def may_carry(resource_type: str, types: Collection[str]) -> bool:
    """Whether a resource of one type may be judged as one of some types."""
    if resource_type == _LIST:
        return any(each.startswith("kubernetes:") for each in types)
    return any(each in types for each in possible_types(resource_type))


def find_carried(resource_type: str, props: Props) -> Iterator[Carried]:
    """The resource itself and what it carries."""
    own = canonical_type(resource_type)
    match = _SUFFIX.match(own)
    if match and match.group(2) == "Patch":
        complete = {**_describe(match.group(1)), **props}
        yield from _with_pods(Carried(match.group(1), as_partial(complete), is_partial=True))
    elif match and "items" in props:
        yield from _find_items(match.group(1), props)
    else:
        yield from _with_pods(Carried(own, props))


def expand_lists(stack: Iterable[Resource]) -> list[Resource]:
    """The resources of a stack with the items of lists in the place of lists."""
    return [each for resource in stack for each in (_expand(resource) if _is_list(resource) else (resource,))]


def _expand(resource: Resource) -> Iterator[Resource]:
    for item in find_carried(resource.type, resource.props):
        yield replace(resource, type=item.type, props=item.props)


def _is_list(resource: Resource) -> bool:
    return _has_suffix(resource.type) and "items" in resource.props


@cache
def _has_suffix(resource_type: str) -> bool:
    return _SUFFIX.match(canonical_type(resource_type)) is not None


def _find_items(item_type: str, props: Props) -> Iterator[Carried]:
    items = props["items"]
    if items is UNKNOWN:
        yield Carried(item_type, as_partial({}), "items")
    for index, item in enumerate(items if is_list(items) else ()):
        where = f"items[{index}]"
        if item is UNKNOWN:
            yield Carried(item_type, as_partial({}), where)
        elif isinstance(item, Mapping):
            own_type = _find_type(item, item_type)
            complete = {**_describe(own_type), **item}
            yield from _with_pods(Carried(own_type, complete, where))


def _find_type(item: Props, default: str) -> str:
    """The type of an item: lists of the API say it once for all of their items, `kind: List` in each."""
    version, kind = look_up(item, "apiVersion"), look_up(item, "kind")
    if not isinstance(version, str) or not isinstance(kind, str):
        return default
    return canonical_type(f"kubernetes:{version if '/' in version else f'core/{version}'}:{kind}")


def _describe(type_: str) -> Props:
    _, version, kind = type_.split(":", 2)
    return {"apiVersion": version.removeprefix("core/"), "kind": kind}


def _with_pods(carried: Carried) -> Iterator[Carried]:
    yield carried
    if is_custom(carried.type):
        for pod in find_pods(carried.type, carried.props):
            where = ".".join(part for part in (carried.where, format_path(pod.path)) if part)
            is_partial = carried.is_partial or pod.is_partial
            yield Carried(POD, as_partial(pod.props) if is_partial else pod.props, where, is_partial)


class _Partial(dict[str, Any]):
    """Properties of which the others are elsewhere, and not known."""

    def get(self, key: str, default: Any = None) -> Any:
        del default
        return super().get(key, UNKNOWN)


def as_partial(value: Any) -> Any:
    """Properties in which everything that is not set is unknown. What is set to null is absent."""
    if isinstance(value, Mapping):
        return _Partial({key: as_partial(each) for key, each in value.items()})
    return [as_partial(each) for each in value] if is_list(value) else value
