"""Paths to nested values, in the syntax of Pulumi's property paths.

A path is text, `spec.containers[0].image` or `metadata.annotations["example.com/owner"]`, or the tuple of its steps,
`("spec", "containers", 0, "image")`: a string is a key of a mapping, a number is an index of a list. `[*]` stands for
every item of a list; its step is EVERY. Every function takes both forms.

Source: https://www.pulumi.com/docs/iac/concepts/resources/options/ignorechanges/ (property paths), and
https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/property_path.go
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from kernel.values import ABSENT, UNKNOWN, as_list, is_list

Path: TypeAlias = tuple[str | int, ...]

EVERY: Final = "*"
"""The step that stands for every item of a list. As in Pulumi, a path cannot name a key that is just a star."""

# `["a \"quoted\" key"]`, `[0]`, `[key]` as the Kubernetes API server writes keys in errors, or `name`.
_STEP = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|\[([^\[\]"]+)\]|\.?([^.\[\]]+)')
_NEEDS_QUOTES = re.compile(r'[."\[\]\\]|^$')


@lru_cache(maxsize=8192)
def parse_path(text: str) -> Path:
    """The steps of a path; none for an empty string. Raises ValueError if the text is not a path.

    The API server's `metadata.labels[example.com/owner]`, without quotes, is accepted too.
    """
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None or (position == 0 and text.startswith(".")):
            raise ValueError(
                f"'{text}' is not a property path: expected a name, [index] or [\"key\"] at '{text[position:]}'"
            )
        quoted, index, bracketed, name = match.groups()
        if position and name is not None and text[position] != ".":
            raise ValueError(f"'{text}' is not a property path: expected a dot before '{name}'")
        steps.append(
            int(index) if index is not None else _unescape(quoted) if quoted is not None else bracketed or name
        )
        position = match.end()
    return tuple(steps)


def format_path(path: Path) -> str:
    """The text of a path, which `parse_path` parses into the same steps."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step == EVERY:
            text += "[*]"
        elif _NEEDS_QUOTES.search(step):
            text += '["{}"]'.format(step.replace("\\", "\\\\").replace('"', '\\"'))
        else:
            text += f".{step}" if text else step
    return text


def look_up(values: Any, path: str | Path, default: Any = ABSENT) -> Any:
    """The value at a path without `[*]`: `default` if it is missing or null, UNKNOWN if it is unknown.

    Everything inside an unknown value is unknown. Values of an unexpected shape never raise an error.
    """
    for step in _steps(path):
        if values is UNKNOWN:
            return UNKNOWN
        values = _child(values, step)
    return default if values is None or values is ABSENT else values


def each_value(values: Any, path: str | Path) -> Iterator[tuple[str, Any]]:
    """Every value at a path such as `rules[*].name`, each with its own path: `rules[0].name`.

    A missing or an empty list is reported once, as ABSENT with the requested path; an unknown one as UNKNOWN with its
    own path. A single value in place of `[*]` counts as a list of one, because providers bridged from Terraform flatten
    lists that can hold only one item.
    """
    return _walk(values, _steps(path), ())


def overlaps(path: str | Path, other: str | Path) -> bool:
    """Whether two paths are equal or one contains the other. EVERY matches any index or key."""
    # zip stops at the end of the shorter path.
    pairs = zip(_steps(path), _steps(other), strict=False)
    return all(one == two or EVERY in (one, two) for one, two in pairs)


def _walk(value: Any, steps: Path, here: Path) -> Iterator[tuple[str, Any]]:
    if value is None:
        value = ABSENT
    if value is UNKNOWN or not steps:
        yield format_path(here), value
    elif value is ABSENT:
        yield format_path(here + steps), ABSENT
    elif steps[0] == EVERY:
        items = as_list(value)
        if not items:
            yield format_path(here + steps), ABSENT
        for index, item in enumerate(items):
            yield from _walk(item, steps[1:], (*here, index))
    else:
        yield from _walk(_child(value, steps[0]), steps[1:], (*here, steps[0]))


def _child(value: Any, step: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(str(step))
    if isinstance(step, int) and is_list(value) and step < len(value):
        return value[step]
    return None


def _steps(path: str | Path) -> Path:
    return parse_path(path) if isinstance(path, str) else path


def _unescape(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted)
