"""The inputs of a resource type that its SDK declares: names on the wire, types, and which are required."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import import_module
from typing import Any, ForwardRef, Union, get_args, get_origin

# The SDKs' own translation between Python's names and the names on the wire.
from pulumi._types import input_type_py_to_pulumi_names


@dataclass(frozen=True)
class InputType:
    """
    kind    `text`, `number`, `flag`, `list`, `map`, `object`, or `any` if the SDK does not specify it
    item    the type of the items of a list or map
    owners  the classes of an object's inputs, one for each form that it may have
    values  the values of an enumeration; empty if any text is valid
    """

    kind: str
    item: InputType | None = None
    owners: tuple[type, ...] = ()
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Input:
    name: str
    type: InputType
    is_required: bool


_SCALARS = {str: "text", int: "number", float: "number", bool: "flag"}


@cache
def find_inputs_class(type_: str) -> type:
    """The class of a type's arguments, such as pulumi_aws.s3.BucketArgs for `aws:s3/bucket:Bucket`."""
    package, module, name = type_.split(":")
    sdk = import_module(f"pulumi_{package.replace('-', '_')}.{module.split('/', 1)[0]}")
    declared = sys.modules[getattr(sdk, name).__module__]
    # If an input has the name of the type, the SDKs use InitArgs instead.
    found: type = getattr(declared, f"{name}InitArgs", None) or getattr(declared, f"{name}Args")
    return found


@cache
def list_inputs(owner: type) -> tuple[Input, ...]:
    """The inputs of a class of arguments, in the SDK's order."""
    parameters = inspect.signature(vars(owner)["__init__"]).parameters
    required = {name for name, each in parameters.items() if each.default is inspect.Parameter.empty}
    module = vars(sys.modules[owner.__module__])
    return tuple(
        Input(wire, _read_type(inspect.get_annotations(getattr(owner, name).fget)["return"], module), name in required)
        for name, wire in input_type_py_to_pulumi_names(owner).items()
    )


def _read_type(annotation: Any, module: Mapping[str, Any]) -> InputType:
    choices = list(_list_choices(annotation, module))
    enumerations = [each for each in choices if isinstance(each, type) and issubclass(each, Enum)]
    # Azure's `known` values are examples: `Microsoft-KubeEvents` is not one of KnownDataFlowStreams.
    closed = [each for each in enumerations if not each.__name__.startswith("Known")]
    values = tuple(str(member.value) for each in closed for member in each)
    first = next((each for each in choices if each not in enumerations), str if enumerations else None)
    if first in _SCALARS:
        return InputType(_SCALARS[first], values=values)
    origin, arguments = get_origin(first), get_args(first)
    if origin is not None and issubclass(origin, Mapping):
        return InputType("map", item=_read_type(arguments[1], module))
    if origin is not None and issubclass(origin, Sequence):
        return InputType("list", item=_read_type(arguments[0], module))
    # The class of an object without inputs has no signature.
    owners = tuple(each for each in choices if isinstance(each, type) and "__init__" in vars(each))
    return InputType("object", owners=owners) if owners and owners[0] is first else InputType("any")


def _list_choices(annotation: Any, module: Mapping[str, Any]) -> Iterator[Any]:
    """The types that a value may have, except None, an output, and an awaitable."""
    if get_origin(annotation) is Union:
        for each in get_args(annotation):
            yield from _list_choices(each, module)
    elif isinstance(annotation, ForwardRef):
        name = annotation.__forward_arg__
        if not name.startswith("Output[") and name in module:
            yield module[name]
    elif annotation is not type(None) and "Awaitable" not in repr(annotation)[:40]:
        yield annotation
