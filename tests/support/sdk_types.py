"""Resource types according to the clouds' SDKs: their inputs, required inputs and outputs."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from functools import cache

# The SDKs' own translation between Python's names and the names on the wire.
from pulumi._types import input_type_py_to_pulumi_names, resource_types

from kernel.paths import parse_path


@cache
def resource_class(type_: str) -> type:
    """The class of a type token: `aws:s3/bucket:Bucket` is pulumi_aws.s3.Bucket."""
    package, module, name = type_.split(":")
    sdk = importlib.import_module(f"pulumi_{package.replace('-', '_')}.{module.split('/', 1)[0]}")
    found: type = getattr(sdk, name)
    return found


@cache
def inputs_class(type_: str) -> type:
    """The class of a type's arguments. If an input has the name of the type, the SDKs call the class InitArgs."""
    declared = resource_class(type_)
    module = sys.modules[declared.__module__]
    found: type = getattr(module, f"{declared.__name__}InitArgs", None) or getattr(module, f"{declared.__name__}Args")
    return found


def required_inputs(arguments: type) -> set[str]:
    """The wire names of the inputs without a default."""
    names = input_type_py_to_pulumi_names(arguments)
    parameters = inspect.signature(vars(arguments)["__init__"]).parameters
    return {
        names[name] for name, each in parameters.items() if name in names and each.default is inspect.Parameter.empty
    }


def has_input(type_: str, path: str) -> bool:
    """Whether a type has an input at a property path. Any path inside an untyped value is accepted."""
    return _follow([inputs_class(type_)], path, require=False)


def requires_input(type_: str, path: str) -> bool:
    """Whether a type requires the input at a property path, and all inputs that contain it."""
    return _follow([inputs_class(type_)], path, require=True)


def has_output(type_: str, name: str) -> bool:
    return name in resource_types(resource_class(type_))


def _follow(classes: list[type], path: str, *, require: bool) -> bool:
    is_key = False
    for step in (step for step in parse_path(path) if isinstance(step, str) and step != "*"):
        if is_key:
            is_key = False
            continue
        owners = [owner for owner in classes if step in input_type_py_to_pulumi_names(owner).values()]
        if classes and not owners:
            return False
        if require and not any(step in required_inputs(owner) for owner in owners):
            return False
        classes = [inner for owner in owners for inner in _inner_classes(owner, step)]
        is_key = any("Mapping[" in _annotation(owner, step) for owner in owners)
    return True


@cache
def _inner_classes(owner: type, name: str) -> list[type]:
    """The classes of the objects in an input, which may be a list, or have several forms."""
    module = vars(sys.modules[owner.__module__])
    found = set(re.findall(r"\b(\w+Args)\b", _annotation(owner, name)))
    return [module[each] for each in sorted(found) if each in module]


def _annotation(owner: type, name: str) -> str:
    names = {wire: python for python, wire in input_type_py_to_pulumi_names(owner).items()}
    return repr(inspect.get_annotations(getattr(owner, names[name]).fget)["return"])
