"""The mutants of a file: each has one keyword argument, entry, element, dependency or resource less."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("infra/azure", "infra/aws", "infra/cluster")
ARGUMENT, ENTRY, ELEMENT, DEPENDENCY, RESOURCE = "argument", "entry", "element", "dependency", "resource"
KINDS = (ARGUMENT, ENTRY, ELEMENT, DEPENDENCY, RESOURCE)
_DEPENDENCIES = ("depends_on", "opts", "after")
# Parts that declare nothing: without them, the program is the same.
_NOT_DECLARED = {("zip", "strict"), ("dataclass", "frozen"), ("field", "default_factory")}
# Statements that declare nothing: a component's outputs for the engine, and messages to people.
_NO_RESOURCES = ("__init__", "register_outputs", "warn", "append", "add", "extend")


@dataclass(frozen=True)
class Mutant:
    """The part that is left out.

    scope  the function or class that contains it: `Registry._create_repository`
    what   `Repository(tags)`, `"replicas"`; with `#2` if the scope has several parts of the same name
    line   of the statement that contains it, which shows whether a stack executes it
    site   its number among the parts of the file
    """

    path: str
    scope: str
    kind: str
    what: str
    line: int
    site: int

    @property
    def id(self) -> str:
        """An identifier without a line number, which stays the same when only other parts of the file change."""
        return f"{self.path} {self.scope}: {self.kind} {self.what}"

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@dataclass(frozen=True)
class _Site:
    """A part of a tree that can be left out: an item in a list of its owner, or the owner's statement."""

    owner: ast.AST
    kind: str
    what: str
    scope: str
    line: int
    index: int


def list_mutants(root: Path, folders: Sequence[str] = FOLDERS) -> list[Mutant]:
    """All mutants of the Python files in these folders, in the order of files and lines."""
    found: list[Mutant] = []
    for folder in folders:
        for path in sorted((root / folder).glob("*.py")):
            found += _list_of_file(str(path.relative_to(root)), path.read_text(encoding="utf-8"))
    return found


def _list_of_file(path: str, text: str) -> Iterator[Mutant]:
    seen: Counter[tuple[str, str, str]] = Counter()
    for number, site in enumerate(_list_sites(ast.parse(text))):
        name = (site.scope, site.kind, site.what)
        seen[name] += 1
        what = f"{site.what}#{seen[name]}" if seen[name] > 1 else site.what
        yield Mutant(path, site.scope, site.kind, what, site.line, number)


def mutate(text: str, mutant: Mutant) -> ast.Module:
    """The tree of a file's text without the part that the mutant leaves out."""
    tree = ast.parse(text)
    site = _list_sites(tree)[mutant.site]
    match site.owner:
        case ast.Call(keywords=keywords):
            del keywords[site.index]
        case ast.Dict(keys=keys, values=values):
            del keys[site.index], values[site.index]
        case ast.List(elts=items) | ast.Tuple(elts=items):
            del items[site.index]
        case ast.Expr() as statement:
            statement.value = ast.copy_location(ast.Constant(None), statement.value)
    return ast.fix_missing_locations(tree)


def _list_sites(tree: ast.Module) -> list[_Site]:
    return list(_visit(tree, "module", 1))


def _visit(node: ast.AST, scope: str, line: int) -> Iterator[_Site]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        scope = node.name if scope == "module" else f"{scope}.{node.name}"
    if isinstance(node, ast.stmt):
        line = node.lineno
    if not isinstance(node, ast.Subscript):  # its tuples are types
        yield from _list_own_sites(node, scope, line)
    skipped = ("annotation", "returns", "decorator_list", "bases")
    for name, value in ast.iter_fields(node):
        if name in skipped:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _visit(child, scope, line)


def _list_own_sites(node: ast.AST, scope: str, line: int) -> Iterator[_Site]:
    for kind, what, index in _list_parts(node):
        yield _Site(node, kind, what, scope, line, index)


def _list_parts(node: ast.AST) -> Iterator[tuple[str, str, int]]:
    """Kind, name and number of each part of a node that can be left out."""
    match node:
        case ast.Call(keywords=keywords):
            yield from _list_arguments(_name(node.func), keywords)
        case ast.Dict(keys=keys):
            yield from ((ENTRY, ast.unparse(key), index) for index, key in enumerate(keys) if key is not None)
        case ast.List(elts=items) | ast.Tuple(elts=items, ctx=ast.Load()):
            for index, item in enumerate(items):
                if isinstance(item, ast.Call | ast.Dict):
                    yield ELEMENT, _name(item.func) if isinstance(item, ast.Call) else ast.unparse(item)[:40], index
        case ast.Expr(value=ast.Call(func=function)) if _name(function) not in _NO_RESOURCES:
            yield RESOURCE, _describe_call(node.value), 0


def _list_arguments(callee: str, keywords: Sequence[ast.keyword]) -> Iterator[tuple[str, str, int]]:
    for index, keyword in enumerate(keywords):
        if keyword.arg and (callee, keyword.arg) not in _NOT_DECLARED:
            kind = DEPENDENCY if keyword.arg in _DEPENDENCIES else ARGUMENT
            yield kind, f"{callee}({keyword.arg})", index


def _describe_call(call: ast.expr) -> str:
    """The name of the called function, and its first argument, which distinguishes several calls."""
    assert isinstance(call, ast.Call)
    first = ast.unparse(call.args[0])[:40] if call.args else ""
    return f"{_name(call.func)}({first})"


def _name(function: ast.expr) -> str:
    return ast.unparse(function).rpartition(".")[2][:60]
