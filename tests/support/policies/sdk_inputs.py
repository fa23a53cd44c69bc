"""The resources of an SDK with their inputs, read from its sources as text because importing them takes minutes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

Inputs = Mapping[str, str | None]
"""The inputs of a class, keyed by their names on the wire, each with the class of its values."""

_TOKEN: Final = re.compile(r"super\(\w+, __self__\)\.__init__\(\s*'([^']+)'")
_GETTER: Final = re.compile(
    r'@pulumi\.getter(?:\(name="(\w+)"\))?\n(?:(?!@pulumi\.getter).)*?    def (\w+)\(self\) -> (.*?):\n', re.DOTALL
)
_NESTED: Final = re.compile(r"'(?:[\w.]+\.)?(\w+Args)'")
_ALIAS: Final = re.compile(r'pulumi\.Alias\(type_="([^"]+)"\)')


def read_aliases(package: str) -> Mapping[str, list[str]]:
    """The types of a resource in other versions of the SDK, keyed by its type in this one."""
    return {token: _ALIAS.findall(path.read_text(encoding="utf-8")) for token, path in _find_resources(package).items()}


def list_types(package: str) -> list[str]:
    return list(_find_resources(package))


def has_input(token: str, path: tuple[str, ...]) -> bool:
    """Whether a resource has an input at a path of names. The content of a value without a class is not known."""
    inputs = read_inputs(token)
    module = _find_resources(token.partition(":")[0])[token].parent
    for name in path[:-1]:
        inputs = _nested_classes(module).get(inputs.get(name) or "", {})
    return path[-1] in inputs


@cache
def read_inputs(token: str) -> Inputs:
    """The inputs of a resource."""
    name = token.rpartition(":")[2]
    text = _find_resources(token.partition(":")[0])[token].read_text(encoding="utf-8")
    classes = _split_classes(text)
    # If an input has the name of the type, the SDKs name the resource's class InitArgs.
    return _read_getters(classes.get(f"{name}InitArgs") or classes.get(f"{name}Args", ""))


def reach(package: str, wanted: frozenset[str]) -> set[str]:
    """The resources whose inputs contain one of the wanted classes at any depth."""
    modules = {path.parent for path in _find_resources(package).values()}
    uses = {name: set(inputs.values()) for module in modules for name, inputs in _nested_classes(module).items()}
    found = set(wanted)
    while added := {name for name, used in uses.items() if name not in found and used & found}:
        found |= added
    return {token for token in list_types(package) if set(read_inputs(token).values()) & found}


@cache
def _find_resources(package: str) -> Mapping[str, Path]:
    spec = find_spec(f"pulumi_{package.replace('-', '_')}")
    assert spec
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0])
    found = {}
    for path in sorted(root.glob("*/**/*.py")):
        if not path.name.startswith(("_", "get_", "list_", "outputs")):
            match = _TOKEN.search(path.read_text(encoding="utf-8"))
            if match:
                found[match.group(1)] = path
    return found


@cache
def _nested_classes(module: Path) -> Mapping[str, Inputs]:
    path = module / "_inputs.py"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return {name: _read_getters(body) for name, body in _split_classes(text).items()}


def _split_classes(text: str) -> Mapping[str, str]:
    parts = re.split(r"^class (\w+)\b", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _read_getters(body: str) -> Inputs:
    found = {}
    for wire, own, annotation in _GETTER.findall(body):
        nested = _NESTED.search(annotation)
        found[wire or own] = nested.group(1) if nested else None
    return found
