"""Translates pydantic's errors into the terms of the settings: what was written, the rule, and how to write it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from infra.core.settings.catalogue import (
    describe_values,
    find_example,
    format_scalar,
    format_setting,
    list_choices,
    list_sections,
    list_settings,
)
from infra.core.settings.clouds import Cloud
from infra.core.settings.faults import NO_VALUE, Fault, find_close, join_path, split_path


def describe_error(error: ErrorDetails, cloud: Cloud, written: Mapping[Sequence[str], str | None]) -> Fault:
    """The fault behind a validation error. `written` has the text of scalars as they are in the stack's file."""
    path, value = tuple(map(str, error["loc"])), error["input"]
    setting = join_path(path)
    match error["type"]:
        case "groundwork":
            shown = NO_VALUE if isinstance(value, Mapping | BaseModel) else value
            return Fault(setting, error["msg"], str(error["ctx"]["remedy"]), value=shown)
        case "extra_forbidden":
            return _describe_unknown(path, value)
        case "missing":
            example = format_setting(path, find_example(setting, cloud))
            return Fault(
                setting, f"is not set: {list_settings()[setting].description}", "add it, for instance", example
            )
    if value is None or value == "":
        return Fault(setting, "has no value", "remove the line, or give it a value")
    if setting in list_sections():
        names = ", ".join(str(field.alias) for field in list_sections()[setting].model_fields.values())
        return Fault(
            setting, "is a section, not a setting", f"write its settings below it, which are {names}", value=value
        )
    return _describe_type(error["type"], path, value, cloud, written.get(path))


def _describe_type(kind: str, path: Sequence[str], value: Any, cloud: Cloud, text: str | None) -> Fault:
    """A value of the wrong type, or out of bounds."""
    setting = join_path(path)
    item = setting not in list_settings()
    whole_path = path[:-1] if item else path
    field = list_settings()[join_path(whole_path)]
    example = format_setting(whole_path, find_example(join_path(whole_path), cloud))
    values = describe_values(field)
    if values == "map of texts" and not item:
        return Fault(setting, "must be a section with a text for each key", "write it like this", example)
    if isinstance(value, Mapping) or (isinstance(value, list) and values != "list"):
        shape = "a list" if isinstance(value, list) else "a section"
        return Fault(setting, f"must be one value, not {shape}", "write it like this", example)
    if values == "list" and not item:
        lines = format_setting(path, [value])
        return Fault(setting, "must be a list", "write it as a list", lines, value=value)
    if kind == "string_type":
        meant = text if text is not None else str(value).lower() if isinstance(value, bool) else str(value)
        read = "true or false" if isinstance(value, bool) else "a number"
        lines = format_setting(path[:-1], [meant]) if item and values == "list" else format_setting(path, meant)
        return Fault(setting, f"must be text, but is read as {read}", "put it in quotes", lines, value=value)
    if choices := list_choices(field):
        close = difflib.get_close_matches(str(value).lower(), choices, n=1)
        remedy = f"write {close[0]}" if close else "use one of them"
        return Fault(setting, f"must be {values}", remedy, value=value)
    if isinstance(value, str) and _is_quoted(value, values):
        return Fault(
            setting,
            f"must be {values}, but is text",
            "remove the quotes",
            format_setting(path, json.loads(value)),
            value=value,
        )
    if values == "true or false":
        return Fault(setting, "must be true or false", "write true or false, without quotes", value=value)
    whole = "" if isinstance(value, int) and not isinstance(value, bool) else "a whole number, "
    return Fault(setting, f"must be {whole}{values}", f"use a value from {values}", value=value)


def _is_quoted(value: str, values: str) -> bool:
    return value.isdigit() if values != "true or false" else value in ("true", "false")


def describe_rewritten(setting: str, value: str, text: str) -> Fault:
    """An unquoted text that YAML reads as something else."""
    return Fault(
        setting,
        f"is written as {text}, which YAML reads as {format_scalar(value)}",
        "put it in quotes",
        format_setting(split_path(setting), text),
    )


def describe_commented(setting: str, text: str, comment: str, cloud: Cloud) -> Fault:
    """A text that is followed by a `#`, which is more likely part of the text than the start of a comment."""
    whole = f"{text} #{comment}"
    part = (
        "write it without #, which a tag on AWS cannot have"
        if cloud is Cloud.AWS
        else f"put it in quotes, as in {json.dumps(whole, ensure_ascii=False)}"
    )
    return Fault(
        setting,
        f"is followed by #{comment}, which YAML reads as a comment",
        f"if that is part of the text, {part}; if it is a comment, write a space after #",
        value=text,
    )


def _describe_unknown(path: Sequence[str], value: Any) -> Fault:
    """A name that is not a setting, with the setting that was probably meant."""
    setting, name = join_path(path), path[-1]
    if "." in name and (meant := join_path((*path[:-1], *name.split(".")))) in list_settings():
        return Fault(
            setting,
            "is not a setting: a period in a key does not lead into a section",
            "write it in its section",
            format_setting(split_path(meant), _fit(value, meant)),
            others=(meant,),
        )
    section = list_sections().get(join_path(path[:-1]))
    known = [str(field.alias) for field in section.model_fields.values()] if section else []
    if close := find_close(name, known):
        meant = join_path((*path[:-1], close))
        return Fault(setting, "is not a setting", f"use '{close}', if that is what you mean", others=(meant,))
    elsewhere = {other: other.rpartition(".")[2] for other in list_settings()}
    if close := find_close(name, list(elsewhere.values())):
        meant = next(other for other, last in elsewhere.items() if last == close)
        lines = format_setting(split_path(meant), _fit(value, meant))
        return Fault(setting, "is not a setting", f"use '{meant}', if that is what you mean", lines, others=(meant,))
    return Fault(setting, "is not a setting", f"remove it; the settings here are {', '.join(known)}")


def _fit(value: Any, setting: str) -> Any:
    """A value converted for another setting: outside of sections, the engine passes numbers and booleans as text."""
    values = describe_values(list_settings()[setting])
    return json.loads(value) if isinstance(value, str) and _is_quoted(value, values) and values != "text" else value
