"""The replacements and deletions of a preview, read from its JSON.

The engine writes a preview as one document (`pulumi preview --json`), or as events, one per line (`--event-log`, or
`--json` with PULUMI_ENABLE_STREAMING_JSON_PREVIEW). Without `--show-replacement-steps` the document omits resources
that an interrupted run has not deleted yet; the events have everything.

Source: pkg/display/json.go and sdk/go/common/apitype/events.go in https://github.com/pulumi/pulumi/tree/v3.255.0
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from kernel.engine_events import OPERATIONS, list_errors, strip_style

HOW_TO_WRITE: Final = "Write it with `pulumi preview --json --show-replacement-steps > FILE`"


class PlanError(ValueError):
    """Text that is not a complete preview; the message says why, and how to get one."""


class Operation(StrEnum):
    """An operation on a resource with data, as named in approvals."""

    REPLACE = "replace"
    DELETE = "delete"


_OPERATIONS: Final = {
    "replace": Operation.REPLACE,
    "import-replacement": Operation.REPLACE,
    "delete": Operation.DELETE,
    "delete-replaced": Operation.DELETE,
}
# The operations that a summary counts; a plan lists each of them as often.
_COUNTED: Final = ("replace", "import-replacement", "delete")


@dataclass(frozen=True)
class PlannedChange:
    """A replacement or a deletion.

    causes       the properties that force a replacement
    is_retained  whether what is deleted stays in the cloud, no longer managed
    """

    urn: str
    operation: Operation
    causes: tuple[str, ...] = ()
    is_protected: bool = False
    is_retained: bool = False

    @property
    def type(self) -> str:
        return self.urn.split("::", 3)[2].rpartition("$")[2]

    @property
    def name(self) -> str:
        return self.urn.split("::", 3)[3]


@dataclass(frozen=True)
class Plan:
    """The replacements and deletions of a preview; `stack` is empty if it has no resources at all."""

    stack: str
    changes: Sequence[PlannedChange]


def read_plan(text: str, name: str) -> Plan:
    """The plan in a preview's JSON; `name` is its name in messages. Raises PlanError if the preview is not complete."""
    errors, steps, counts = _read(text, name)
    if errors:
        raise PlanError(
            f"{name} is from a preview that failed, so it does not list all changes: {errors[0]} "
            "Fix that, and preview again."
        )
    if counts is None:
        raise PlanError(f"{name} has no summary at its end: the preview was interrupted. {HOW_TO_WRITE}.")
    steps = [_check_step(step, name) for step in steps]
    found = Counter(step["op"] for step in steps)
    for operation in _COUNTED:
        if found[operation] < int(counts.get(operation, 0)):
            raise _other_version(
                name, f"a summary with {counts[operation]} of '{operation}', and lists {found[operation]}"
            )
    replaced = {step["urn"] for step in steps if _OPERATIONS.get(step["op"]) is Operation.REPLACE}
    changes = [
        _read_change(step)
        for step in steps
        # The deletion that belongs to a replacement is not another loss, but one left over from an earlier run is.
        if step["op"] in _OPERATIONS and not (step["op"] == "delete-replaced" and step["urn"] in replaced)
    ]
    return Plan(steps[0]["urn"].split("::")[0].rpartition(":")[2] if steps else "", changes)


def _read(text: str, name: str) -> tuple[list[str], list[Any], Mapping[str, Any] | None]:
    """Errors, steps and the summary's counts of a preview; the counts are None if it was interrupted."""
    try:
        document = json.loads(text)
    except ValueError:
        return _read_events([_parse_line(line, number, name) for number, line in enumerate(text.splitlines(), 1)], name)
    if isinstance(document, Mapping) and document.keys() & {"steps", "changeSummary", "diagnostics", "config"}:
        return _read_document(document, name)
    return _read_events([document], name)


def _parse_line(line: str, number: int, name: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise PlanError(f"{name}, line {number}, is not JSON: {error}. {HOW_TO_WRITE}.") from None


def _read_document(document: Mapping[str, Any], name: str) -> tuple[list[str], list[Any], Mapping[str, Any] | None]:
    diagnostics, steps, counts = (
        document.get("diagnostics", []),
        document.get("steps", []),
        document.get("changeSummary"),
    )
    if not isinstance(diagnostics, list) or not isinstance(steps, list) or not isinstance(counts, Mapping | None):
        raise _other_version(name, "steps, diagnostics or a summary of another form")
    errors = [
        strip_style(str(each.get("message", ""))).strip()
        for each in diagnostics
        if isinstance(each, Mapping) and each.get("severity") == "error"
    ]
    return errors, steps, counts


def _read_events(events: Sequence[Any], name: str) -> tuple[list[str], list[Any], Mapping[str, Any] | None]:
    if not events or not all(isinstance(event, Mapping) and "timestamp" in event for event in events):
        raise PlanError(f"{name} is not the JSON of a preview. {HOW_TO_WRITE}.")
    steps = [_read_metadata(event["resourcePreEvent"], name) for event in events if "resourcePreEvent" in event]
    summaries = [event["summaryEvent"] for event in events if "summaryEvent" in event]
    counts = summaries[-1].get("resourceChanges") if summaries else None
    return list_errors(events), steps, (counts or {}) if summaries else None


def _read_metadata(event: Any, name: str) -> Mapping[str, Any]:
    """The step of an event, with the fields of a document's step."""
    metadata = event.get("metadata") if isinstance(event, Mapping) else None
    if not isinstance(metadata, Mapping):
        raise _other_version(name, "a resource without metadata")
    return {**metadata, "oldState": metadata.get("old"), "replaceReasons": metadata.get("keys")}


def _check_step(step: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(step, Mapping) or not all(isinstance(step.get(key), str) for key in ("op", "urn")):
        raise _other_version(name, "a step without operation or URN")
    if step["op"] not in OPERATIONS:
        raise _other_version(name, f"the operation '{step['op']}'")
    if len(step["urn"].split("::", 3)) != 4:
        raise _other_version(name, f"the URN '{step['urn']}'")
    return step


def _other_version(name: str, found: str) -> PlanError:
    return PlanError(
        f"{name} has {found}, so it is from a version of Pulumi that this guard cannot read (it was written for "
        "3.255.0). Preview with that version, or extend plan_guard/plan.py."
    )


def _read_change(step: Mapping[str, Any]) -> PlannedChange:
    old = step.get("oldState") or {}
    return PlannedChange(
        step["urn"],
        _OPERATIONS[step["op"]],
        tuple(_list_causes(step)) if _OPERATIONS[step["op"]] is Operation.REPLACE else (),
        bool(old.get("protect")),
        bool(old.get("retainOnDelete")),
    )


def _list_causes(step: Mapping[str, Any]) -> Iterator[str]:
    """The paths of properties that force a replacement; their names if the provider reports no details."""
    details = step.get("detailedDiff") or {}
    paths = [
        path
        for path, detail in sorted(details.items())
        if isinstance(detail, Mapping) and str(detail.get("kind") or detail.get("diffKind") or "").endswith("-replace")
    ]
    yield from paths or [str(key) for key in step.get("replaceReasons") or ()]
