"""What the policies found, as a table, JSON, SARIF or JUnit."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Final
from xml.etree import ElementTree

import policies
from delivery import sarif
from delivery.findings import SEVERITIES, Finding

Report = Callable[[str, Sequence[Finding]], str]


def render_table(subject: str, findings: Sequence[Finding]) -> str:
    """One finding per line, the most severe first; messages of the pack itself come last."""
    if not findings:
        return f"{subject}: nothing was found.\n"
    ordered = sorted(findings, key=lambda each: [*SEVERITIES, ""].index(each.severity))
    rows = [(each.level, each.severity or "-", each.policy, each.name or subject, each.message) for each in ordered]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = (
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows
    )
    return "".join(f"{line}\n" for line in lines)


def render_json(subject: str, findings: Sequence[Finding]) -> str:
    """The findings with all their fields."""
    return f"{json.dumps({'subject': subject, 'findings': [asdict(each) for each in findings]}, indent=2)}\n"


def render_sarif(subject: str, findings: Sequence[Finding]) -> str:
    return f"{json.dumps(sarif.render(subject, findings), indent=2)}\n"


def render_junit(subject: str, findings: Sequence[Finding]) -> str:
    """One test for each control, with a failure if it stops a deployment; advice and notes are its output.

    The format: https://github.com/testmoapp/junitxml
    """
    by_policy: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_policy[finding.policy].append(finding)
    services = {control.id: control.service for control in policies.controls()}
    others = [name for name in by_policy if name not in services]
    suite = ElementTree.Element("testsuite", name=f"policies of {subject}")
    for name in [*services, *others]:
        case = ElementTree.SubElement(suite, "testcase", name=name, classname=services.get(name, "pack"))
        _add_messages(case, by_policy[name])
    failed = sum(case.find("failure") is not None for case in suite)
    suite.attrib.update(tests=str(len(suite)), failures=str(failed), errors="0")
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(suites, encoding="unicode")}\n'


def _add_messages(case: ElementTree.Element, findings: Sequence[Finding]) -> None:
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        failure = ElementTree.SubElement(case, "failure", message=f"{len(errors)} violations")
        failure.text = _list_messages(errors)
    if others := [finding for finding in findings if finding.level != "error"]:
        ElementTree.SubElement(case, "system-out").text = _list_messages(others)


def _list_messages(findings: Sequence[Finding]) -> str:
    return "\n".join(f"{each.name}: {each.message}" if each.name else each.message for each in findings)


FORMATS: Final[Mapping[str, Report]] = {
    "table": render_table,
    "json": render_json,
    "sarif": render_sarif,
    "junit": render_junit,
}
