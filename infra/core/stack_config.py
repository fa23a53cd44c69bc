"""Reads a stack's settings, and reports everything that is wrong with them in one message."""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from infra.core.naming import is_stack_name
from infra.core.settings import Cloud, Settings
from infra.core.settings.catalogue import NAMESPACE as NAMESPACE  # part of this module's interface
from infra.core.settings.catalogue import find_example, format_value, list_settings
from infra.core.settings.causes import find_causes
from infra.core.settings.changes import find_changes
from infra.core.settings.faults import Fault, find_close, join_path, split_path
from infra.core.settings.messages import describe_commented, describe_error, describe_rewritten
from infra.core.settings.rules import find_faults
from kernel.stack_file import ENCRYPTED, StackFile

# The keys that a stack's file can have next to `config:`.
_OTHER_KEYS = frozenset({"config", "encryptionsalt", "encryptedkey", "secretsprovider", "environment"})

# Settings whose text may be anything, `#` included.
_FREE_TEXTS = ("owner", "costCenter", "tags")

_NAME_REMEDY = "start it with a letter or digit, and use at most 100 letters, digits, hyphens, underscores and periods"


class SettingsError(ValueError):
    """Invalid settings; the message lists all of them. `problems` has the lines for each, with its remedy."""

    def __init__(self, stack: str, problems: Sequence[Sequence[str]]) -> None:
        super().__init__(_format_message(stack, problems))
        self.problems = problems


def load() -> Settings:
    """The settings of the stack that the engine runs.

    Raises pulumi.RunError, whose message names every invalid setting, its value, the rule and the remedy.
    """
    # Commands that only check settings do not need the SDK, whose import takes half of their start-up time.
    import pulumi

    config = {**pulumi.runtime.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    try:
        return parse(_decode(config), pulumi.get_stack())
    except ValueError as error:
        raise pulumi.RunError(str(error)) from None


def check(file: StackFile, stack: str) -> Settings:
    """The settings in a stack's file; raises ValueError as `parse` does, with lines."""
    return parse(_decode(file.values), stack, file)


def parse(raw: Mapping[str, Any], stack: str, file: StackFile | None = None) -> Settings:
    """Settings from the values of a stack file under `groundwork:`, keyed without that prefix.

    Raises SettingsError if they are invalid, or if a stack cannot have this name.
    """
    settings, faults = _validate(raw, stack, _list_texts(file))
    if file:
        faults = [*_find_misplaced(file, faults), *_find_rewritten(file, raw), *_find_commented(file, raw), *faults]
    lines = _list_lines(file)
    problems = [fault.describe(lines.get(fault.setting)) for fault in faults]
    if not is_stack_name(stack):
        problems.insert(0, [f"{stack!r} is not a name for a stack.", f"Remedy: {_NAME_REMEDY}."])
    if settings is None or problems:
        raise SettingsError(stack, problems)
    return settings


def describe_cost(file: StackFile, stack: str) -> tuple[float, Mapping[str, float]]:
    """The monthly budget, 0 for none, and the stack's assumed monthly usage, keyed by the name of the setting.

    Raises ValueError as `check` does.
    """
    cost = check(file, stack).cost
    return float(cost.monthly_budget), cost.usage.model_dump(by_alias=True)


def compare(file: StackFile, stack: str, deployed: Mapping[str, Any], confirmed: Collection[str]) -> str:
    """What deploying a file would change in a deployed stack, in one line for each setting; empty if nothing changes.

    `deployed` are the settings of the last deployment, including defaults. Raises ValueError if a change is impossible,
    if one that loses data is not among the `confirmed` settings, or if one of those is not a setting.
    """
    _check_confirmed(confirmed)
    changes = list(find_changes(deployed, check(file, stack)))
    refused = [each for each in changes if each.is_refused(confirmed)]
    if not refused:
        return "\n".join(f"  - {NAMESPACE}:{each}." for each in changes)
    lines = _list_lines(file)
    problems = [each.describe(_find_place(each.setting, lines)) for each in refused]
    raise ValueError(
        "\n".join(
            [
                f"These settings of stack '{stack}' cannot be changed like this; nothing has been changed.",
                *_format_list(problems),
                f"The settings are in {file.name}; docs/settings.md describes what changing each of them does.",
            ]
        )
    )


def _find_place(setting: str, lines: Mapping[str, int]) -> str:
    return f"line {lines[setting]}" if setting in lines else "not in the file: the default of its cloud and environment"


def _check_confirmed(confirmed: Collection[str]) -> None:
    known = list(list_settings())
    for name in confirmed:
        if name in known:
            continue
        last = {path.rpartition(".")[2]: path for path in reversed(known)}
        close = last.get(name) or find_close(name, known)
        meant = f"it to {close}, if that is what you mean" if close else "it to settings of docs/settings.md"
        raise ValueError(f"CONFIRM={name} does not name a setting; nothing has been changed. Remedy: set {meant}.")


def explain(file: StackFile, stack: str, refusals: Mapping[str, str]) -> str:
    """Which settings may have caused the cloud errors of a deployment, one line for each; empty if none may.

    `refusals` are the messages of the cloud, keyed by the logical name of the resource.
    """
    settings, lines = check(file, stack), _list_lines(file)
    causes = [path for name, message in refusals.items() for path in find_causes(settings, name, message)]
    values = {path: _find_value(settings.dump(), path) for path in causes}
    return "\n".join(
        f"  - {NAMESPACE}:{path} = {format_value(value)}"
        + (f" (line {lines[path]})" if path in lines else " (its default)")
        for path, value in values.items()
    )


def _find_value(content: Any, path: str) -> Any:
    for part in path.split("."):
        content = content[part]
    return content


def _validate(
    raw: Mapping[str, Any], stack: str, texts: Mapping[Sequence[str], str | None]
) -> tuple[Settings | None, list[Fault]]:
    """The settings, and all faults: invalid values, and rules that the valid values break."""
    try:
        settings, faults = Settings.model_validate(raw), []
    except ValidationError as error:
        cloud = Cloud.AWS if raw.get("cloud") == Cloud.AWS else Cloud.AZURE
        faults = _describe_errors(error, raw, cloud, texts)
        valid = _leave_out(raw, error, cloud)
        broken = [fault for fault in find_faults(valid, stack) if not _concern(fault, faults)] if valid else []
        return None, [*faults, *broken]
    return settings, list(find_faults(settings, stack))


def _describe_errors(
    error: ValidationError, raw: Mapping[str, Any], cloud: Cloud, texts: Mapping[Sequence[str], str | None]
) -> list[Fault]:
    """The faults of an error, without settings that are missing because their name is misspelt."""
    faults = [describe_error(item, cloud, texts) for item in error.errors()]
    faults = [replace(fault, others=[one for one in fault.others if not _is_set(raw, one)]) for fault in faults]
    missing = {join_path(tuple(map(str, item["loc"]))) for item in error.errors() if item["type"] == "missing"}
    misspelt = {other for fault in faults for other in fault.others}
    return [fault for fault in faults if fault.setting not in missing & misspelt]


def _is_set(raw: Any, setting: str) -> bool:
    for part in split_path(setting):
        if not isinstance(raw, Mapping) or part not in raw:
            return False
        raw = raw[part]
    return True


def _leave_out(raw: Mapping[str, Any], error: ValidationError, cloud: Cloud) -> Settings | None:
    """The settings, with invalid and missing values replaced by examples and defaults; None if that is impossible."""
    content = copy.deepcopy(dict(raw))
    for item in error.errors():
        if item["loc"] == ("cloud",):
            return None
        section, path = content, [part for part in item["loc"] if isinstance(part, str)]
        for part in path[:-1]:
            section = section.get(part, {})
        section.pop(path[-1] if path else "", None)
    for name in ("environment", "location", "organization", "owner"):
        content.setdefault(name, find_example(name, cloud))
    try:
        return Settings.model_validate(content)
    except ValidationError:
        return None


def _concern(fault: Fault, known: Sequence[Fault]) -> bool:
    """Whether a fault involves values that are known to be invalid."""
    paths = [split_path(setting) for one in known for setting in (one.setting, *one.others)]
    return any(fault.involves(path) for path in paths)


def _find_misplaced(file: StackFile, faults: list[Fault]) -> Iterator[Fault]:
    """Settings in places where the engine does not look for them, and values that only the engine could read.

    Removes the faults that follow from them from `faults`.
    """
    names = {setting.partition(".")[0] for setting in list_settings()}
    for key in set(file.content) - _OTHER_KEYS:
        if (name := key.removeprefix(f"{NAMESPACE}:")) in names:
            faults[:] = [fault for fault in faults if not fault.involves((name,))]
            yield Fault(name, "is beside `config:`, where the engine does not look", "indent it under `config:`")
    for key in file.config:
        namespace, _, name = key.partition(":")
        if namespace != NAMESPACE and name in names and difflib.get_close_matches(namespace, [NAMESPACE]):
            faults[:] = [fault for fault in faults if not fault.involves((name,))]
            yield Fault(
                name, f"is written as {key}, which is not a setting of this project", f"write {NAMESPACE}:{name}"
            )
    for key, *inner in file.encrypted:
        if key.startswith(f"{NAMESPACE}:"):
            path = (key.removeprefix(f"{NAMESPACE}:"), *inner)
            faults[:] = [fault for fault in faults if not fault.involves(path)]
            yield Fault(
                join_path(path),
                "is encrypted, but no setting is a secret, and a rehearsal has no key to read it",
                "write it as plain text",
            )


def _find_rewritten(file: StackFile, raw: Mapping[str, Any]) -> Iterator[Fault]:
    """Texts that YAML reads as something other than what was written, such as 0042 as 34."""
    for path, text in _list_texts(file).items():
        value: Any = raw
        for part in path:
            value = (
                value[int(part)] if isinstance(value, list) else value.get(part) if isinstance(value, Mapping) else None
            )
        if isinstance(value, str) and text and value not in (text, "", ENCRYPTED):
            yield describe_rewritten(join_path(path), value, text)


def _find_commented(file: StackFile, raw: Mapping[str, Any]) -> Iterator[Fault]:
    """Free texts that YAML ends at a ` #` that is not followed by a space, as in `owner: R&D #1`."""
    cloud = Cloud.AWS if raw.get("cloud") == Cloud.AWS else Cloud.AZURE
    for path, place in _list_places(file).items():
        if path[0] in _FREE_TEXTS and place.text and re.match(r"#[^\s#]", place.comment):
            yield describe_commented(join_path(path), place.text, place.comment[1:], cloud)


def _list_texts(file: StackFile | None) -> dict[Sequence[str], str | None]:
    """The text of each scalar as written, keyed by path."""
    return {path: place.text for path, place in _list_places(file).items() if place.text is not None}


def _list_lines(file: StackFile | None) -> dict[str, int]:
    return {join_path(path): place.line for path, place in _list_places(file).items()}


def _list_places(file: StackFile | None) -> dict[Sequence[str], Any]:
    prefix = f"{NAMESPACE}:"
    places = file.places if file else {}
    return {
        (key.removeprefix(prefix), *inner): place for (key, *inner), place in places.items() if key.startswith(prefix)
    }


def _decode(config: Mapping[str, str]) -> dict[str, Any]:
    """The settings among the engine's configuration, keyed without their namespace."""
    prefix = f"{NAMESPACE}:"
    return {key.removeprefix(prefix): _parse_value(value) for key, value in config.items() if key.startswith(prefix)}


def _parse_value(value: str) -> Any:
    """The engine passes objects and lists as JSON, everything else as text."""
    try:
        return json.loads(value) if value[:1] in ("{", "[") else value
    except ValueError:
        return value


def _format_message(stack: str, problems: Sequence[Sequence[str]]) -> str:
    return "\n".join(
        [
            f"The settings of stack '{stack}' are not valid; nothing has been changed.",
            *_format_list(problems),
            f"The settings are in stacks/Pulumi.{stack}.yaml; docs/settings.md describes all of them.",
        ]
    )


def _format_list(problems: Sequence[Sequence[str]]) -> list[str]:
    return [line for first, *rest in problems for line in (f"  - {first}", *(f"    {one}" for one in rest))]
