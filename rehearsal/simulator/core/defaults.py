"""The inputs that a provider fills in if the program does not set them, and the record of which it filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from kernel.paths import Path, parse_path
from rehearsal.simulator.core.resource_model import ResourceModel, ResourceRequest

FILLED_IN: Final = "__defaults"
"""The input that lists the paths that the provider filled in, named as in providers bridged from Terraform."""


def fill_in(model: ResourceModel, request: ResourceRequest, old: Mapping[str, Any]) -> dict[str, Any]:
    """The request's inputs with the provider's defaults. `old` are the inputs of the existing resource.

    Raises CloudError if the provider cannot fill in a required input.
    """
    inputs = dict(request.inputs)
    filled: list[str] = []
    for path, default in model.defaults.items():
        current = replace(request, inputs=inputs)
        value = default(current, old) if current.get(path) is None else None
        if value is not None:
            inputs = _set(inputs, parse_path(path), value)
            filled.append(path)
    return {**inputs, FILLED_IN: filled} if filled else inputs


def was_filled_in(inputs: Mapping[str, Any], path: str) -> bool:
    """Whether the provider, and not the program, set an input."""
    return path in inputs.get(FILLED_IN, ())


def hide(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs without the provider's own record."""
    return {name: value for name, value in inputs.items() if name != FILLED_IN}


def remove_filled_in(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as the program set them."""
    declared = hide(inputs)
    for path in inputs.get(FILLED_IN, ()):
        declared = _set(declared, parse_path(path), None)
    return declared


def _set(values: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """A copy with a new value at a path, which consists of names only."""
    name, rest = str(path[0]), path[1:]
    return {**values, name: _set(values.get(name) or {}, rest, value) if rest else value}
