"""The settings as data: their paths, which values they accept, and how they look in a stack's file."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from infra.core.settings.clouds import Cloud
from infra.core.settings.stack_settings import Settings
from infra.core.settings.values import Unit
from kernel import yaml_scalars

NAMESPACE = "groundwork"


@cache
def list_settings() -> Mapping[str, FieldInfo]:
    """All settings, keyed by path, such as `network.cidr`, in the order of their declaration."""
    return {path: field for path, field in _walk(Settings) if find_section(field) is None}


@cache
def list_sections() -> Mapping[str, type[BaseModel]]:
    """All sections, keyed by path; the section with an empty path contains all others."""
    sections = {path: section for path, field in _walk(Settings) if (section := find_section(field))}
    return {"": Settings, **sections}


def describe_section(path: str) -> str:
    """What a section is for."""
    field = dict(_walk(Settings))[path]
    return field.description or inspect.cleandoc(list_sections()[path].__doc__ or "")


def find_section(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a field is, or None for a setting."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _walk(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for field in section.model_fields.values():
        path = f"{prefix}{field.alias}"
        yield path, field
        if inner := find_section(field):
            yield from _walk(inner, f"{path}.")


def describe_values(field: FieldInfo) -> str:
    """Which values a setting accepts: `true or false`, `30 to 730 days`, `azure or aws`, `list`, `text`."""
    kind, unit = field.annotation, find_unit(field)
    if choices := list_choices(field):
        return f"{' or '.join(filter(None, (', '.join(choices[:-1]), choices[-1])))}{unit}"
    if kind is bool:
        return "true or false"
    if kind is int:
        low = next((str(item.ge) for item in field.metadata if isinstance(item, Ge)), "")
        high = next((str(item.le) for item in field.metadata if isinstance(item, Le)), "")
        return f"{low} to {high}{unit}"
    collections: dict[Any, str] = {tuple: "list", Mapping: "map of texts"}
    return collections.get(get_origin(kind), "text")


def find_unit(field: FieldInfo) -> str:
    """The unit of a number with a space before it, or an empty text."""
    return next((f" {item.name}" for item in field.metadata if isinstance(item, Unit)), "")


def list_choices(field: FieldInfo) -> Sequence[str]:
    """The values of a setting that has a fixed set of them, as text; otherwise empty."""
    kind = field.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(member.value) for member in kind]
    return [str(value) for value in get_args(kind)] if get_origin(kind) is Literal else []


def find_example(path: str, cloud: Cloud) -> Any:
    """An example of a setting's value; if there are two, the first is for Azure and the second for AWS."""
    examples = list_settings()[path].examples or []
    return examples[-1 if cloud is Cloud.AWS else 0] if examples else ""


def format_setting(path: Sequence[str], value: Any) -> list[str]:
    """The lines under `config:` that set one setting."""
    first, *inner = path
    return _format(f"{NAMESPACE}:{first}", _nest(inner, value), "")


def _nest(path: Sequence[str], value: Any) -> Any:
    for part in reversed(path):
        value = {part: value}
    return value


def format_content(content: Mapping[str, Any]) -> list[str]:
    """Lines of YAML for a mapping."""
    return [line for key, value in content.items() for line in _format(key, value, "")]


class Commented:
    """A value with a comment after it."""

    def __init__(self, value: Any, comment: str) -> None:
        self.value = value
        self.comment = comment


def _format(key: str, value: Any, indent: str) -> list[str]:
    if isinstance(value, Mapping) and value:
        inner = [line for name, item in value.items() for line in _format(name, item, f"{indent}  ")]
        return [f"{indent}{key}:", *inner]
    if isinstance(value, list | tuple) and value:
        return [f"{indent}{key}:", *(f"{indent}  - {format_scalar(item)}" for item in value)]
    return [f"{indent}{key}: {format_scalar(value)}"]


def format_scalar(value: Any) -> str:
    """A value as YAML in one line; text is quoted if the engine would read it as something else."""
    if isinstance(value, str):
        plain = re.fullmatch(r"[\w/][\w./@:+-]*( [\w./@+-]+)*(?<!:)", value, re.ASCII)
        return value if plain and yaml_scalars.resolve(yaml_scalars.PLAIN, value) == value else json.dumps(value)
    if isinstance(value, Commented):
        return f"{format_scalar(value.value)}  # {value.comment}"
    return json.dumps(value)


def format_value(value: Any) -> str:
    """A value in a message: text of one line in single quotes, anything else as JSON."""
    return f"'{value}'" if isinstance(value, str) and value.isprintable() else json.dumps(value, default=str)
