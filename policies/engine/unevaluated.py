"""The resources of a stack that no control evaluates: a run that passes says nothing about those."""

from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Final

from kernel.reviewed_entries import read_entries
from policies.engine.carriers import certain_types
from policies.engine.registry import REGISTRY
from policies.engine.type_names import canonical_type

FILE: Final = Path(__file__).resolve().parents[1] / "unevaluated.yaml"
_LONGEST: Final = 12  # types in one message

# The engine's own types, and types that create nothing in a cloud.
_NO_RESOURCES: Final = ("pulumi:", "random:", "time:", "command:")
# Types of the classic Azure provider, whose properties no control knows.
_CLASSIC: Final = "azure:"


@cache
def list_patterns() -> tuple[tuple[str, str], ...]:
    """The patterns of types that need no control, each with its reason."""
    groups = read_entries(FILE, ("reason", "types"))
    return tuple((pattern, group["reason"]) for group in groups for pattern in group["types"])


def is_evaluated(resource_type: str) -> bool:
    """Whether a control evaluates resources of a type."""
    types = set(certain_types(resource_type))
    return any(types.intersection(control.types) for control in REGISTRY.values())


def is_listed(resource_type: str) -> bool:
    """Whether a type needs no control, for a reason in unevaluated.yaml."""
    return any(fnmatchcase(canonical_type(resource_type), pattern) for pattern, _ in list_patterns())


def describe_unevaluated(types: Iterable[str]) -> str:
    """A message about resources that no control evaluates and the file does not list; empty if there are none."""
    all_types = Counter(types).items()
    counts = Counter({type_: count for type_, count in all_types if _is_left_over(type_)})
    if not counts:
        return ""
    named = [f"{type_} ({count})" for type_, count in counts.most_common(_LONGEST)]
    more = [f"{len(counts) - _LONGEST} more types"] if len(counts) > _LONGEST else []
    classic = any(type_.startswith(_CLASSIC) for type_ in counts)
    hint = " Controls know azure-native, not the classic provider azure." if classic else ""
    return f"no control evaluates {counts.total()} resources, so they may have problems that are not reported: " + (
        f"{', '.join(named + more)}.{hint}"
    )


def _is_left_over(resource_type: str) -> bool:
    return _is_resource(resource_type) and not is_evaluated(resource_type) and not is_listed(resource_type)


def _is_resource(resource_type: str) -> bool:
    """Whether a type belongs to a provider; components do not."""
    if resource_type.startswith(_NO_RESOURCES):
        return False
    return resource_type.startswith(("aws:", "azure-native", _CLASSIC, "kubernetes:"))
