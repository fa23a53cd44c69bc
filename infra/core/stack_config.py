"""Reads a stack's settings from the engine's configuration; one message reports everything that is invalid."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pulumi
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from infra.core.naming import is_stack_name
from infra.core.settings import Settings
from kernel.stack_file import StackFile

NAMESPACE = "groundwork"

_NAME_REMEDY = "start it with a letter or digit, and use at most 100 letters, digits, hyphens, underscores and periods"


class SettingsError(ValueError):
    """Invalid settings; the message lists all of them. `problems` are pairs of a problem and its remedy."""

    def __init__(self, stack: str, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__(_format_message(stack, problems))
        self.problems = problems


def load() -> Settings:
    """The settings of the stack that the engine runs.

    Raises pulumi.RunError, whose message names every invalid setting, its value, the rule and the remedy.
    """
    stack = pulumi.get_stack()
    try:
        return parse(_decode({**pulumi.runtime.get_config_env(), **pulumi.runtime.config.CONFIG.get()}), stack)
    except ValueError as error:
        raise pulumi.RunError(str(error)) from None


def parse(raw: Mapping[str, Any], stack: str) -> Settings:
    """Settings from the values of a stack file under `groundwork:`, keyed without that prefix.

    Raises SettingsError, also when no stack can have this name.
    """
    problems = [] if is_stack_name(stack) else [(f"{stack!r} is not a name for a stack", _NAME_REMEDY)]
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        raise SettingsError(stack, [*problems, *map(_explain, error.errors())]) from None
    if problems:
        raise SettingsError(stack, problems)
    return settings


def check(file: StackFile, stack: str) -> Settings:
    """The settings in a stack's file; raises ValueError as `parse` does."""
    return parse(_decode(file.values), stack)


def _decode(config: Mapping[str, str]) -> dict[str, Any]:
    """The settings among the engine's configuration, keyed without their namespace."""
    prefix = f"{NAMESPACE}:"
    return {key.removeprefix(prefix): _parse_value(value) for key, value in config.items() if key.startswith(prefix)}


def _parse_value(value: str) -> Any:
    """The engine passes objects and lists as JSON, everything else as text, which may begin as JSON does."""
    try:
        return json.loads(value) if value[:1] in ("{", "[") else value
    except json.JSONDecodeError:
        return value


def _format_message(stack: str, problems: Sequence[tuple[str, str]]) -> str:
    lines = [f"The settings of stack '{stack}' are not valid; nothing has been touched."]
    for problem, remedy in problems:
        lines += [f"  - {problem}.", f"    Remedy: {remedy}."]
    lines.append(f"The settings are in stacks/Pulumi.{stack}.yaml; docs/settings.md describes all of them.")
    return "\n".join(lines)


def _explain(error: ErrorDetails) -> tuple[str, str]:
    """The problem and its remedy, for the author of the stack file."""
    path = [str(step) for step in error["loc"]]
    setting = f"{NAMESPACE}:{'.'.join(path)}" if path else NAMESPACE
    if error["type"] == "extra_forbidden":
        return f"{setting} is not a setting", _suggest(path)
    description = _description(path)
    if error["type"] == "missing":
        return f"{setting} is not set: {description}", f"add `{NAMESPACE}:{path[0]}: ...`"
    if error["type"] == "groundwork":
        # A rule over several settings is raised by their section; the value of a whole section would not help.
        value = "" if isinstance(error["input"], Mapping | BaseModel) else f" = {error['input']!r}"
        return f"{setting}{value}: {error['msg']}", str(error["ctx"]["remedy"])
    rule = error["msg"].removeprefix("Input ")
    remedy = f"correct the value of this setting ({description})" if description else "use a mapping of settings"
    return f"{setting} = {error['input']!r}: {rule[:1].lower()}{rule[1:]}", remedy


def _suggest(path: list[str]) -> str:
    known = [name for name, _ in _fields(path[:-1])]
    close = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
    return (
        f"use '{close[0]}', if that is the setting you meant"
        if close
        else f"remove it; the settings here are {', '.join(known)}"
    )


def _description(path: list[str]) -> str:
    return next((text for name, text in _fields(path[:-1]) if path and name == path[-1]), "")


def _fields(path: list[str]) -> Iterator[tuple[str, str]]:
    """Name and description of each setting in the section at `path`."""
    section: type[BaseModel] = Settings
    for step in path:
        field = next((item for item in section.model_fields.values() if item.alias == step), None)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return
        section = field.annotation
    for field in section.model_fields.values():
        yield str(field.alias), field.description or ""
