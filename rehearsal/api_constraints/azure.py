"""Constraints of Azure's inputs: the required inputs of the `azure-native` SDK, and the values of its enumerations.

The SDK is generated from Azure's REST specifications, so its inputs are the API's own properties. Patterns and lengths
of the specifications are not in it.
Source: https://github.com/pulumi/pulumi-azure-native/tree/master/provider/pkg/gen
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rehearsal.api_constraints.sdk_inputs import InputType, find_inputs_class, list_inputs

Entries = dict[str, dict[str, Any]]

# Inputs for which the SDK is wrong, since it gives two enumerations of a service the same name.
_WRONG = {
    # Its values are Equals, GreaterThan and others; the SDK has the values of another type's ConditionOperator. Source:
    # https://learn.microsoft.com/rest/api/monitor/scheduled-query-rules/create-or-update#conditionoperator
    ("azure-native:monitor:ScheduledQueryRule", "criteria.allOf[*].operator"),
}


def read_azure(types: Iterable[str]) -> Mapping[str, Entries]:
    """The constraints of resource types, keyed by type and by path of the input."""
    return {
        type_: {
            path: entry for path, entry in _read_owner("", find_inputs_class(type_), ()) if (type_, path) not in _WRONG
        }
        for type_ in sorted(types)
    }


def _read_owner(path: str, owner: type, above: tuple[type, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    if owner in above:  # a type that contains itself, such as the details of an error
        return
    for each in list_inputs(owner):
        inner = f"{path}.{each.name}" if path else each.name
        yield from _read_type(inner, each.type, each.is_required, (*above, owner))


def _read_type(
    path: str, kind: InputType, is_required: bool, above: tuple[type, ...]
) -> Iterator[tuple[str, dict[str, Any]]]:
    found: dict[str, Any] = {"required": True} if is_required else {}
    if kind.values:
        found["values"] = list(kind.values)
    if found:
        yield path, {"member": path, **found}
    if kind.item is not None:
        yield from _read_type(f"{path}[*]", kind.item, is_required=False, above=above)
    elif kind.owners:
        yield from _combine([dict(_read_owner(path, each, above)) for each in kind.owners]).items()


def _combine(forms: Sequence[Entries]) -> Entries:
    """Constraints that hold for an object in all of its forms, since their discriminator is not evaluated."""
    first, *others = forms
    combined: Entries = {}
    for path, entry in first.items():
        same = [form.get(path, {}) for form in others]
        kept = {name: value for name, value in entry.items() if all(name in each for each in same)}
        if "values" in kept:
            kept["values"] = list(dict.fromkeys(value for each in (entry, *same) for value in each["values"]))
        if kept.keys() - {"member"}:
            combined[path] = kept
    return combined
