"""A report's findings in words, plain text for every format."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from kernel.values import ABSENT
from reporting.changes import Kind
from reporting.findings import Findings


def summarize(findings: Findings) -> Iterator[tuple[str, str]]:
    """The report in six lines of plain text: what it is about, and what was found."""
    if not findings.is_previewed:
        yield "Preview", "not run: the settings are not valid"
        return
    yield "Resources", _count_changes(findings)
    yield "Policies", _count_checks(findings)
    yield "Data", _count_data_losses(findings)
    yield "Cost", summarize_cost(findings.cost)
    yield "Deployment", _summarize_duration(findings)
    yield "Rehearsal", _summarize_record(findings.record)


def find_conclusion(findings: Findings) -> str:
    if findings.refusals or any(each.is_mandatory for each in findings.policies.violations):
        return "cannot be deployed like this"
    if findings.refused_settings:
        return "has to be confirmed, or cannot be deployed like this"
    if not findings.preview.changes:
        return "no changes"
    return "loses data" if findings.data_losses else "can be deployed"


def _count_changes(findings: Findings) -> str:
    counts = Counter(change.kind for change in findings.preview.changes)
    shown = [f"{counts[kind]} {kind}" for kind in (Kind.ADDED, Kind.CHANGED, Kind.REPLACED, Kind.DELETED)]
    return f"{', '.join(shown)}; {findings.preview.unchanged} unchanged"


def _count_checks(findings: Findings) -> str:
    policies = findings.policies
    failed = sum(each.is_mandatory for each in policies.violations)
    advisories = len(policies.violations) - failed
    return f"{policies.passed} checks passed, {failed} failed, {advisories} advisories, {policies.undecided} undecided"


def _count_data_losses(findings: Findings) -> str:
    count = len(findings.data_losses)
    return f"warnings of data loss: {count}" if count else "no resource that holds data is replaced or deleted"


def summarize_cost(cost: Mapping[str, Any] | None) -> str:
    if cost is None:
        return "not estimated"
    difference = cost.get("difference")
    change = f" ({format_signed(difference['totalUsd'])})" if difference else ""
    least = "" if cost["isComplete"] else "at least "
    return f"{least}{cost['totalUsd']:,.2f} USD a month{change}"


def _summarize_duration(findings: Findings) -> str:
    if findings.duration is None:
        return "not estimated"
    whole = f"{format_seconds(findings.duration['criticalPathSeconds'])} for a new stack"
    if findings.change_duration is None:
        return whole
    return f"{format_seconds(findings.change_duration['criticalPathSeconds'])} for what this change creates, {whole}"


def _summarize_record(record: Mapping[str, Any] | None) -> str:
    if record is None:
        return "not run: charts and pods are not checked"
    failures = " and ".join(map(str, record["failures"]))
    return f"failed at {failures}" if failures else f"passed in {record['seconds']:.0f} s"


def describe_value(value: Any) -> str:
    """A property's value as plain text."""
    if value is ABSENT:
        return "none"
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)) or '""'


def format_seconds(seconds: float) -> str:
    """`95` -> `1 min 35 s`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def format_signed(usd: float) -> str:
    return f"{usd:+,.2f} USD" if round(usd, 2) else "no change"
