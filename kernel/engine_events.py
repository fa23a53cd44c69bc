"""The engine's event log: one JSON object per line, as `--event-log` writes it.

Source: sdk/go/common/apitype/events.go in https://github.com/pulumi/pulumi/tree/v3.255.0
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

# Enables the engine's option `--event-log`.
LOG_VARIABLES = {"PULUMI_DEBUG_COMMANDS": "true"}

OPERATIONS = frozenset(
    {
        *("same", "create", "update", "delete", "replace", "create-replacement", "delete-replaced"),
        *("read", "read-replacement", "refresh", "discard", "discard-replaced", "remove-pending-replace"),
        *("import", "import-replacement", "diff", "extend-parameterize"),
    }
)
"""Every operation of the engine on a resource. Source: pkg/resource/deploy/step.go."""

# The engine's colour codes, such as <{%fg 1%}>
_STYLE = re.compile(r"<\{%.*?%\}>")

# The engine adds these messages to every failure; they explain nothing.
_GENERIC_MESSAGES = frozenset({"preview failed", "update failed"})


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events in a log; none if the engine has not created it yet."""
    if path.exists():
        with path.open() as lines:
            for line in lines:
                yield json.loads(line)


def list_refusals(events: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The error messages of a run's providers, keyed by the logical name of the resource."""
    found = (event["diagnosticEvent"] for event in events if "diagnosticEvent" in event)
    errors = ((each["urn"], each["message"]) for each in found if each["severity"] == "error" and each.get("urn"))
    return {
        urn.rsplit("::", 1)[-1]: strip_style(message) for urn, message in errors if "pulumi:pulumi:Stack" not in urn
    }


def list_errors(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """All errors of a run, of resources and of the program."""
    found = (event["diagnosticEvent"] for event in events if "diagnosticEvent" in event)
    messages = (strip_style(each["message"]).strip() for each in found if each["severity"] == "error")
    return [message for message in messages if message]


def list_program_errors(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """Errors of a run that belong to the stack and not to another resource: the program's own, such as a traceback."""
    found = (event["diagnosticEvent"] for event in events if "diagnosticEvent" in event)
    errors = (each for each in found if each["severity"] == "error")
    messages = [strip_style(each["message"]).strip() for each in errors if _belongs_to_stack(each.get("urn", ""))]
    return [message for message in messages if message and message not in _GENERIC_MESSAGES]


def _belongs_to_stack(urn: str) -> bool:
    return not urn or "pulumi:pulumi:Stack" in urn.rpartition("::")[0].rpartition("::")[2]


def strip_style(message: str) -> str:
    """A message without the engine's colour codes."""
    return _STYLE.sub("", message)
