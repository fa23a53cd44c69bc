"""From the engine's configuration to settings, or to one message that says all that is wrong."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from infra.core.settings import Settings

NAMESPACE = "groundwork"


def load() -> Settings:
    """The settings of the stack that the engine runs.

    Raises pulumi.RunError, whose message names every wrong setting, its value, the rule and the remedy.
    """
    stack = pulumi.get_stack()
    try:
        settings = parse(_configured(), stack)
    except ValueError as error:
        raise pulumi.RunError(str(error)) from None
    return settings


def parse(raw: Mapping[str, Any], stack: str) -> Settings:
    """Settings from what a stack file says under `groundwork:`.

    Raises ValueError with one message for all that is wrong.
    """
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        raise ValueError(_report(error.errors(), stack)) from None
    if settings.stack != stack:
        problem = (
            f"groundwork:cloud = '{settings.cloud}' and groundwork:environment = '{settings.environment}' are "
            f"the settings of a stack named '{settings.stack}'"
        )
        raise ValueError(_message(stack, [(problem, f"correct the settings, or select the stack '{settings.stack}'")]))
    return settings


def _configured() -> dict[str, Any]:
    prefix = f"{NAMESPACE}:"
    everything = {**pulumi.runtime.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    return {key.removeprefix(prefix): _parsed(value) for key, value in everything.items() if key.startswith(prefix)}


def _parsed(value: str) -> Any:
    """Objects and lists come from the engine as JSON, everything else as text."""
    return json.loads(value) if value[:1] in ("{", "[") else value


def _report(errors: list[ErrorDetails], stack: str) -> str:
    return _message(stack, [_explain(error) for error in errors])


def _message(stack: str, problems: list[tuple[str, str]]) -> str:
    lines = [f"The settings of stack '{stack}' are not valid; nothing has been touched."]
    for problem, remedy in problems:
        lines += [f"  - {problem}.", f"    Remedy: {remedy}."]
    lines.append(f"Settings stand in stacks/Pulumi.{stack}.yaml; docs/settings.md lists them all.")
    return "\n".join(lines)


def _explain(error: ErrorDetails) -> tuple[str, str]:
    """A problem and its remedy, in words for the person who wrote the stack file."""
    path = [str(step) for step in error["loc"]]
    setting = f"{NAMESPACE}:{'.'.join(path)}" if path else NAMESPACE
    if error["type"] == "extra_forbidden":
        return f"{setting} is not a setting", _suggestion(path)
    description = _description(path)
    if error["type"] == "missing":
        return f"{setting} is not set: {description}", f"add `{NAMESPACE}:{path[0]}: ...`"
    if error["type"] == "groundwork":
        # A rule over several settings is raised by their section, whose value says nothing.
        value = "" if isinstance(error["input"], Mapping | BaseModel) else f" = {error['input']!r}"
        return f"{setting}{value}: {error['msg']}", str(error["ctx"]["remedy"])
    rule = error["msg"].removeprefix("Input ")
    remedy = f"correct it; it is: {description}" if description else "correct it; it is a section of settings"
    return f"{setting} = {error['input']!r}: {rule[:1].lower()}{rule[1:]}", remedy


def _suggestion(path: list[str]) -> str:
    known = [name for name, _ in _fields(path[:-1])]
    close = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
    return f"write '{close[0]}', if that is what was meant" if close else f"remove it; there are {', '.join(known)}"


def _description(path: list[str]) -> str:
    return next((text for name, text in _fields(path[:-1]) if path and name == path[-1]), "")


def _fields(path: list[str]) -> Iterator[tuple[str, str]]:
    """Name and description of every setting in the section at `path`."""
    section: type[BaseModel] = Settings
    for step in path:
        field = next((item for item in section.model_fields.values() if item.alias == step), None)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return
        section = field.annotation
    for field in section.model_fields.values():
        yield str(field.alias), field.description or ""
