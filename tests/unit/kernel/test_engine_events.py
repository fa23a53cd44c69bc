"""Errors in the engine's event log; tests/unit/rehearsal/test_summary.py covers more of the log."""

from __future__ import annotations

from typing import Any

from kernel.engine_events import list_program_errors, list_refusals

STACK = "urn:pulumi:test::letters::pulumi:pulumi:Stack::letters-test"
BUCKET = "urn:pulumi:test::letters::aws:s3/bucket:Bucket::data"


def error(message: str, urn: str = "", severity: str = "error") -> dict[str, Any]:
    return {"diagnosticEvent": {"urn": urn, "message": message, "severity": severity}}


EVENTS = [
    {"preludeEvent": {}},
    error("<{%fg 1%}>Traceback\nValueError: words<{%reset%}>\n", STACK),
    error("the bucket is taken", BUCKET),
    error("a warning", STACK, "warning"),
    error("preview failed"),
]


def test_errors_of_the_program_are_those_of_the_stack() -> None:
    assert list_program_errors(EVENTS) == ["Traceback\nValueError: words"]


def test_refusals_are_those_of_resources() -> None:
    assert list_refusals([EVENTS[2]]) == {"data": "the bucket is taken"}
