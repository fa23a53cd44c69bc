"""The rules of the simulated clouds and their sources, read from the source code of the models.

A rule's source is a URL in the comment at its entry, or in the comments and docstrings of the functions and constants
that the entry names. A rule without a URL is unverified.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

_URL = re.compile(r"https://[^\s\"'<>`]+[^\s\"'<>`.,;:)]")
# Arguments of a model that contain rules, and what those are about.
_PARTS = {
    "rules": "input",
    "transitions": "update",
    "state_rules": "what exists",
    "delete_rules": "deletion",
    "replace_on_changes": "replacement",
    "replace_if": "replacement",
    "suppressed_if": "update",
    "tombstone": "name after deletion",
    "creation_by_products": "created by the service",
    "deletion_by_products": "created by the service",
    "one_writer": "simultaneous changes",
}
# Arguments that are one rule, however many properties they list, and what that rule does.
_WHOLE = {
    "replace_on_changes": "a change of what replaces it",
    "replace_if": "some changes of what replaces it",
    "suppressed_if": "which differences the provider ignores",
    "one_writer": "one at a time in a parent",
}
_MODEL_FUNCTIONS = ("ResourceModel", "arm_model")
# Modules in which names are followed: those of the simulated clouds, and the kernel's dated data.
_FOLLOWED = ("rehearsal.simulator.", "kernel.")
_DEEPEST = 4

Definition = ast.FunctionDef | ast.Assign | ast.AnnAssign


@dataclass(frozen=True)
class SourcedRule:
    """
    about    what the rule is about, one of the values of _PARTS
    text     what it does, in the words of its entry
    check    the name of its function
    path     the property that its entry names; empty if it names none
    sources  URLs, in the order in which they were found; if empty, the rule is unverified
    """

    about: str
    text: str
    sources: tuple[str, ...]
    check: str = ""
    path: str = ""


@dataclass(frozen=True)
class _Source:
    """The source code of a module: its tree, the comment of each line, and the definitions of its names."""

    module: ModuleType
    tree: ast.Module
    comments: Mapping[int, str]
    definitions: Mapping[str, Definition]
    imports: Mapping[str, tuple[str, str]]

    def list_urls(self, node: ast.AST) -> Iterator[str]:
        """URLs in the comments on a node's lines and directly above it, and in a function's docstring."""
        first, last = _get_lines(node)
        while first - 1 in self.comments:
            first -= 1
        for line in range(first, last + 1):
            yield from _URL.findall(self.comments.get(line, ""))
        if isinstance(node, ast.FunctionDef):
            yield from _URL.findall(ast.get_docstring(node) or "")
        # The kernel's data has its sources as values.
        if self.module.__name__.startswith("kernel."):
            texts = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
            yield from (url for text in texts if isinstance(text, str) for url in _URL.findall(text))


def read_rules(module: ModuleType) -> Mapping[str, list[SourcedRule]]:
    """The rules in a module's `MODELS`, keyed by resource type."""
    source = _read(module)
    found: dict[str, list[SourcedRule]] = {}
    for call in _get_items(source, "MODELS"):
        if isinstance(call, ast.Call) and call.args:
            type_ = _evaluate(module, call.args[0])
            found[type_ if type_.count(":") == 2 else f"azure-native:{type_}"] = list(_read_model(source, call))
    return found


def read_table(module: ModuleType, name: str, about: str) -> Mapping[str, list[SourcedRule]]:
    """The rules in a module's mapping of resource types to rules. Raises TypeError if it is not a literal."""
    source = _read(module)
    table = _get_value(source, name)
    if not isinstance(table, ast.Dict):
        raise TypeError(f"{module.__name__}.{name} is not a mapping literal")
    return {
        _evaluate(module, key): [_describe(source, item, about) for item in _split(value)]
        for key, value in zip(table.keys, table.values, strict=True)
        if key is not None
    }


def read_functions(module: ModuleType, names: Sequence[str], about: str) -> list[SourcedRule]:
    """Functions of a module as rules."""
    source = _read(module)
    found = [_describe(source, source.definitions[name], about) for name in names]
    return [replace(rule, text=name.strip("_").replace("_", " ")) for rule, name in zip(found, names, strict=True)]


def _read_model(source: _Source, call: ast.Call) -> Iterator[SourcedRule]:
    for keyword in call.keywords:
        if keyword.arg in _PARTS:
            is_whole = keyword.arg in (*_WHOLE, "tombstone")
            items = [keyword.value] if is_whole else _split(keyword.value)
            yield from (_describe(source, item, _PARTS[keyword.arg], keyword.arg) for item in items)
    helper = source.definitions.get(call.func.id) if isinstance(call.func, ast.Name) else None
    for inner in ast.walk(helper) if isinstance(helper, ast.FunctionDef) else ():
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id in _MODEL_FUNCTIONS:
            yield from _read_model(source, inner)


def _describe(source: _Source, node: ast.AST, about: str, part: str = "") -> SourcedRule:
    urls = tuple(dict.fromkeys(_list_all_urls(source, node, set(), _DEEPEST)))
    if part in _WHOLE:
        return SourcedRule(about, _WHOLE[part], urls)
    text = _name(node)
    check, _, path = text.partition(" `")
    return SourcedRule(about, text, urls, check, path.rstrip("`"))


def _name(node: ast.AST) -> str:
    """The name of an entry: that of its function, and the property that it is about."""
    if isinstance(node, ast.Starred):
        return _name(node.value)
    if isinstance(node, ast.Call):
        texts = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        path = f" `{texts[0]}`" if texts and len(texts[0]) < 60 and " " not in texts[0] else ""
        names = [_name(each) for each in node.args if isinstance(each, ast.Name)]
        inner = [_name(each) for each in node.args if isinstance(each, ast.Call)]
        function = _name(node.func)
        if function == "refuse when" or function == "refuse items when":
            return names[0] if names else f'{function} "{_shorten(node)}"'
        if function in ("map", "unless unchanged", "of unprepared account") and (names or inner):
            return (names or inner)[0]
        return f"{function}{path}"
    if isinstance(node, ast.Attribute):
        return _name(node.value)
    if isinstance(node, ast.Name):
        return node.id.strip("_").replace("_", " ").lower()
    return ast.unparse(node)[:60]


def _shorten(call: ast.Call) -> str:
    """The beginning of the message in a rule, after the error code."""
    texts = [each.value for each in ast.walk(call) if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    message = max(texts, key=len, default="").partition(": ")
    text = (message[2] or message[0]).replace("|", "/").replace("`", "'")
    return f"{text[:57]}..." if len(text) > 60 else text


def _list_all_urls(source: _Source, node: ast.AST, seen: set[tuple[str, str]], depth: int) -> Iterator[str]:
    yield from source.list_urls(node)
    for owner, name in _list_references(source, node) if depth else ():
        definition = owner.definitions.get(name)
        if definition is not None and (owner.module.__name__, name) not in seen:
            seen.add((owner.module.__name__, name))
            yield from _list_all_urls(owner, definition, seen, depth - 1)


def _list_references(source: _Source, node: ast.AST) -> Iterator[tuple[_Source, str]]:
    """The functions and constants that a node names, except types."""
    body: Sequence[ast.AST] = node.body if isinstance(node, ast.FunctionDef) else [node]
    for each in (inner for part in body for inner in ast.walk(part)):
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and each.value.id in source.imports:
            package, name = source.imports[each.value.id]
            if name.islower() and f"{package}.{name}".startswith(_FOLLOWED):  # a module, not a class
                yield _read(import_module(f"{package}.{name}")), each.attr
        elif isinstance(each, ast.Name) and each.id in source.definitions:
            yield source, each.id
        elif isinstance(each, ast.Name) and source.imports.get(each.id, ("", ""))[0].startswith(_FOLLOWED):
            package, name = source.imports[each.id]
            if not name[:1].isupper() or name.isupper():  # classes have no sources of rules
                yield _read(import_module(package)), name


def _get_items(source: _Source, name: str) -> list[ast.expr]:
    value = _get_value(source, name)
    return list(value.elts) if isinstance(value, ast.Tuple | ast.List) else []


def _get_value(source: _Source, name: str) -> ast.expr | None:
    """The value of a constant; None for a function."""
    definition = source.definitions[name]
    return None if isinstance(definition, ast.FunctionDef) else definition.value


def _split(value: ast.expr) -> list[ast.expr]:
    """The rules in an argument: a tuple's items. A helper's parameters are read at the calls of the helper."""
    if isinstance(value, ast.Tuple | ast.List):
        return [inner for item in value.elts for inner in _split(item)]
    if isinstance(value, ast.Starred):
        return _split(value.value) if isinstance(value.value, ast.Tuple | ast.Name) else [value]
    return [] if isinstance(value, ast.Name) and value.id in ("UNRESTRICTED", *_PARTS) else [value]


def _evaluate(module: ModuleType, node: ast.expr) -> str:
    """The text of a literal, or of the constant that a name refers to."""
    return str(node.value if isinstance(node, ast.Constant) else getattr(module, ast.unparse(node)))


def _get_lines(node: Any) -> tuple[int, int]:
    return node.lineno, node.end_lineno


@cache
def _read(module: ModuleType) -> _Source:
    text = inspect.getsource(module)
    tree = ast.parse(text)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = {each.start[0]: each.string for each in tokens if each.type == tokenize.COMMENT}
    definitions: dict[str, Definition] = {}
    imports: dict[str, tuple[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            definitions[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
            definitions.update(dict.fromkeys(names, node))
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports.update({each.asname or each.name: (node.module, each.name) for each in node.names})
    return _Source(module, tree, comments, definitions, imports)
