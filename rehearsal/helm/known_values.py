"""The values that a chart knows. Helm silently ignores every other value, so a misspelt one has no effect.

A chart does not declare its values. Known values are those in its values.yaml, including its comments, in its
values.schema.json and in expressions of its templates, and those of its subcharts under their names. Keys of maps that
templates render as a whole, such as labels, resources and configuration files, are not checked.
"""

from __future__ import annotations

import difflib
import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from kernel.values import UNKNOWN

_IDENTIFIER = r"[A-Za-z_][\w-]*"

# A path in a template: `.Values.image.tag`, `$.Values.image`, and `index .Values "image" "tag"`.
_PATH = re.compile(rf"\.Values((?:\.{_IDENTIFIER})+)")
_INDEX = re.compile(rf'(?:index|get|hasKey|dig)\s+\(?\$?\w*\.Values((?:\.{_IDENTIFIER})*)((?:\s+"[^"]+")+)')
_ACTION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_VARIABLE = re.compile(rf"\$(\w+)\s*:?=\s*\(?\$?\w*\.Values((?:\.{_IDENTIFIER})+)")
_VARIABLE_PATH = re.compile(rf"\$(\w+)((?:\.{_IDENTIFIER})*)")
# Functions that render a map as a whole, and functions that pass it on to a named template or a block.
_RENDERS = r"(?<![.$\w])(?:toYaml|toYamlPretty|toJson|toPrettyJson|toToml|tpl|range|omit|concat)\b"
_RENDERED = re.compile(_RENDERS)
_BLOCK_RENDERED = re.compile(rf"{_RENDERS}[^}}]*[\s(]\.[\s)}}]")  # the map that `with` made the context
_PASSED = re.compile(
    r"(?<![.$\w])(?:merge\w*|mustMerge\w*|deepCopy|include|template|with|dict|list|pick|coalesce|ternary)\b|:=|\s=\s"
)
_FIELD = re.compile(rf'\.({_IDENTIFIER})|"({_IDENTIFIER})"')
_COMMENTED_KEY = re.compile(r"^(\s*)#+ ?(\s*)-? ?([A-Za-z][\w./-]*):(?:\s|$)")
_MAX_DEPTH = 20  # of a schema
_KEY = re.compile(r"^(\s*)([\w./\"'-]+):(?:\s|$)")


@dataclass
class KnownValue:
    """A value that a chart knows, and the values inside it.

    accepts_any  whether its content is arbitrary, or not known
    fields       if templates pass the map on: all names that they read from any map
    """

    children: dict[str, KnownValue] = field(default_factory=dict)
    accepts_any: bool = False
    fields: frozenset[str] = frozenset()

    def child(self, key: str) -> KnownValue:
        return self.children.setdefault(key, KnownValue())

    def at(self, path: Sequence[str]) -> KnownValue:
        """The value at a path, which becomes known."""
        found = self
        for key in path:
            found = found.child(key)
        return found

    def merge(self, other: KnownValue) -> None:
        """Add the other's known values."""
        self.accepts_any |= other.accepts_any
        self.fields |= other.fields
        for key, value in other.children.items():
            self.child(key).merge(value)

    def accepts(self, key: str) -> bool:
        return self.accepts_any or key in self.children or key in self.fields


@dataclass(frozen=True)
class UnknownValue:
    """A value that a chart does not know, and the nearest known one; empty if none is similar."""

    path: str
    nearest: str

    @property
    def message(self) -> str:
        return f"{self.path} is not one of its values" + (f" (the nearest is {self.nearest})" if self.nearest else "")


def find_unknown_values(package: Path, values: Mapping[str, Any]) -> list[UnknownValue]:
    """The values that the chart in a package does not know, each with the path up to the first unknown key."""
    known = _read_known_values(package)
    places = dict(_list_keys(known))
    return [
        UnknownValue(".".join(path), _find_nearest(path, siblings, places))
        for path, siblings in _walk(known, values, ())
    ]


def _walk(
    known: KnownValue, values: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Sequence[str]]]:
    """Paths of unknown values, each with the known keys of the same map."""
    for key, value in values.items():
        place = (*path, str(key))
        if not known.accepts(key):
            yield place, list(known.children)
        elif key in known.children and value is not UNKNOWN and isinstance(value, Mapping):
            child = known.children[key]
            if child.children and not child.accepts_any:
                yield from _walk(child, value, place)


def _find_nearest(path: tuple[str, ...], siblings: Sequence[str], places: Mapping[str, str]) -> str:
    """The nearest known value: one with a similar key in the same map, else the same key in another map."""
    key = path[-1]
    similar = difflib.get_close_matches(key, siblings, n=1, cutoff=0.6)
    if similar:
        return ".".join([*path[:-1], similar[0]])
    return places.get(key, "")


def _list_keys(known: KnownValue, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Every known key with its paths, the shortest last."""
    for key, value in known.children.items():
        yield from _list_keys(value, (*path, key))
    yield from ((key, ".".join((*path, key))) for key in known.children)


@cache
def _read_known_values(package: Path) -> KnownValue:
    """The known values of the chart in a package. Raises tarfile.TarError if the package cannot be read."""
    with tarfile.open(package) as archive:
        files = {
            member.name.partition("/")[2]: file.read().decode(errors="replace")
            for member in archive
            if member.isfile() and _is_relevant(member.name) and (file := archive.extractfile(member))
        }
    return _know_chart(files)


def _is_relevant(name: str) -> bool:
    _, _, inner = name.partition("/")
    is_text = inner.endswith((".yaml", ".tpl", ".yml", ".txt", ".json"))
    return is_text and "/crds/" not in f"/{inner}" and "/ci/" not in f"/{inner}"


def _know_chart(files: Mapping[str, str]) -> KnownValue:
    """The known values of a chart with these files, keyed by path in the chart."""
    own = {name: text for name, text in files.items() if not name.startswith("charts/")}
    text = own.get("values.yaml", "")
    known = _know_defaults(yaml.load(text, Loader=yaml.CSafeLoader) or {})
    # Charts such as KServe's render the content of `files` with the function tpl.
    templates = [
        text for name, text in own.items() if name.startswith(("templates/", "files/")) or name.endswith(".tpl")
    ]
    _add_references(known, templates)
    _add_comments(known, text)
    if "values.schema.json" in own:
        schema = json.loads(own["values.schema.json"])
        known.merge(_know_schema(schema, schema, 0))
    _add_subcharts(known, own, files)
    known.accepts_any = False  # every chart accepts values, and renders some map as a whole
    return known


def _know_defaults(default: Any) -> KnownValue:
    if isinstance(default, Mapping) and default:
        return KnownValue({str(key): _know_defaults(value) for key, value in default.items()})
    return KnownValue(accepts_any=True)  # empty, or not a map: its possible content is not known


def _add_references(known: KnownValue, templates: Sequence[str]) -> None:
    """Add every value that an expression of a template names, and whether templates render or pass on its content."""
    fields = frozenset(name for text in templates for pair in _FIELD.findall(text) for name in pair if name)
    seen: set[str] = set()
    for template in templates:
        variables = {match[1]: _split(match[2]) for match in _VARIABLE.finditer(template)}
        for match in _ACTION.finditer(template):
            action = match[1]
            is_block = "with" in action
            if action in seen and not is_block and not variables:  # dashboards repeat a few actions many times
                continue
            seen.add(action)
            block = _follow_block(template, match) if is_block else ""
            is_rendered = bool(_RENDERED.search(action) or _BLOCK_RENDERED.search(block))
            is_passed = bool(_PASSED.search(action))
            for path in _list_paths(action, variables):
                value = known.at(path)
                value.accepts_any |= is_rendered
                value.fields = fields if is_passed else value.fields


def _list_paths(action: str, variables: Mapping[str, Sequence[str]]) -> Iterator[Sequence[str]]:
    """The paths of values that an expression names, directly or through variables."""
    if "Values" in action:
        yield from (_split(match[1]) for match in _PATH.finditer(action))
        for match in _INDEX.finditer(action):
            yield [*_split(match[1]), *re.findall(r'"([^"]+)"', match[2])]
    if variables and "$" in action:
        for name, steps in _VARIABLE_PATH.findall(action):
            if name in variables:
                yield [*variables[name], *_split(steps)]


def _follow_block(template: str, action: re.Match[str]) -> str:
    """The text of a block up to the first end in it."""
    return re.split(r"\{\{-?\s*(?:end|else)\b", template[action.end() :], maxsplit=1)[0]


def _split(steps: str) -> list[str]:
    return [step for step in steps.split(".") if step]


def _add_comments(known: KnownValue, text: str) -> None:
    """Add the keys in the comments of a values.yaml, at the depth of their indentation."""
    parents: list[tuple[int, str]] = []
    for line in text.splitlines():
        commented = _COMMENTED_KEY.match(line)
        match = commented or _KEY.match(line)
        if match is None:
            continue
        column = len(match[1]) + len(match[2]) if commented else len(match[1])
        key = match[3] if commented else match[2].strip("\"'")
        while parents and parents[-1][0] >= column:
            parents.pop()
        known.at([*(name for _, name in parents), key])
        parents.append((column, key))


def _know_schema(schema: Any, root: Mapping[str, Any], depth: int) -> KnownValue:
    """The known values of a JSON schema; a schema that refers to itself is followed to a maximum depth."""
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return KnownValue(accepts_any=True)
    known = KnownValue()
    parts = [part for key in ("allOf", "anyOf", "oneOf") for part in schema.get(key, ())]
    if str(schema.get("$ref", "")).startswith("#/"):
        parts.append(_resolve(root, schema["$ref"]))
    for part in parts:
        known.merge(_know_schema(part, root, depth + 1))
    for key, value in schema.get("properties", {}).items():
        known.child(key).merge(_know_schema(value, root, depth + 1))
    known.accepts_any |= bool(schema.get("additionalProperties") or schema.get("patternProperties"))
    known.accepts_any |= not parts and "properties" not in schema
    return known


def _resolve(root: Mapping[str, Any], reference: str) -> Any:
    found: Any = root
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, Mapping) else {}
    return found


def _add_subcharts(known: KnownValue, own: Mapping[str, str], files: Mapping[str, str]) -> None:
    subcharts: dict[str, dict[str, str]] = {}
    for name, text in files.items():
        folder, _, inner = name.removeprefix("charts/").partition("/")
        if name.startswith("charts/") and inner:
            subcharts.setdefault(folder, {})[inner] = text
    declared = (yaml.load(own.get("Chart.yaml", ""), Loader=yaml.CSafeLoader) or {}).get("dependencies", ())
    for dependency in declared:
        for condition in str(dependency.get("condition", "")).split(","):
            known.at(_split(condition.strip()))
        for tag in dependency.get("tags", ()):
            known.at(["tags", tag])
    for folder, content in subcharts.items():
        names = [item.get("alias", item["name"]) for item in declared if item["name"] == folder] or [folder]
        subchart = _know_chart(content)
        for name in names:
            value = known.child(name)
            value.accepts_any = False
            value.merge(subchart)
        known.child("global").merge(subchart.child("global"))
