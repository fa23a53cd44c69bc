"""Renders the comment on a pull request, in GitHub's Markdown: what merging it would do to one stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kernel.values import ABSENT
from reporting.changes import Kind, PropertyChange, ResourceChange
from reporting.escaping import code, escape
from reporting.findings import Findings
from reporting.sections import LIMIT, Section, render_sections
from reporting.topology import list_exposures
from reporting.wording import describe_value, find_conclusion, format_seconds, format_signed, summarize, summarize_cost

_SHOWN_PROPERTIES = 8  # of one resource
_SHOWN_COST_CHANGES = 20
_SIGNS = {Kind.ADDED: "+", Kind.CHANGED: "~", Kind.REPLACED: "±", Kind.DELETED: "-"}


def render(findings: Findings, limit: int = LIMIT) -> str:
    """The whole comment, at most `limit` bytes."""
    command = f"make report STACK={_escape_command(findings.stack)} FORMAT=html"
    sections = [
        Section("", _render_head(findings)),
        *_render_stops(findings),
        *_render_data_losses(findings),
        *_render_exposures(findings),
        _render_changes(findings),
        *_render_settings(findings),
        *_render_cost(findings),
        *_render_duration(findings),
        _render_unchecked(findings),
    ]
    return render_sections(sections, command, limit)


def _escape_command(text: str) -> str:
    """A name for a command in a code span, which a backtick would end."""
    return "".join(character for character in text if character.isalnum() or character in "-_.")[:100]


def _render_head(findings: Findings) -> str:
    lines = [
        f"## {code(findings.stack)}: {find_conclusion(findings)}",
        "",
        _describe_comparison(findings),
        "",
        "| | |",
        "|---|---|",
        *(f"| {title} | {escape(text)} |" for title, text in summarize(findings)),
    ]
    return "\n".join(lines)


def _describe_comparison(findings: Findings) -> str:
    here = f"The working tree ({code(findings.commit[:12])})" if findings.commit else "The working tree"
    if findings.base is None:
        return f"{here} as a new stack: no base to compare with was named."
    against = f"{code(findings.base.reference)} ({code(findings.base.commit[:12])})"
    if findings.not_compared:
        return f"{here} as a new stack, not compared with {against}: {escape(findings.not_compared)}"
    return f"{here} compared with {against}, deployed on simulated clouds without an account or credentials."


def _render_stops(findings: Findings) -> Iterator[Section]:
    mandatory = [each for each in findings.policies.violations if each.is_mandatory]
    advisories = [each for each in findings.policies.violations if not each.is_mandatory]
    if findings.refusals:
        rows = [f"- {code(name)}: {_escape_lines(message)}\n" for name, message in findings.refusals.items()]
        yield Section("Refused", rows=rows, what="refusals")
    for title, violations in (("Policies failed", mandatory), ("Advisories", advisories)):
        if violations:
            rows = [f"- {code(each.resource or findings.stack)}: {escape(each.message, 600)}\n" for each in violations]
            yield Section(title, rows=rows, what="violations")


def _escape_lines(message: str) -> str:
    """A message in a list item, with at most twenty of its lines."""
    return "<br>".join(escape(line.strip(), 300) for line in message.strip().splitlines()[:20])


def _render_data_losses(findings: Findings) -> Iterator[Section]:
    if findings.data_losses:
        rows = [f"- {code(change.name)} {escape(text)}\n" for change, text in findings.data_losses]
        yield Section("Data loss", rows=rows, what="warnings")


def _render_exposures(findings: Findings) -> Iterator[Section]:
    exposures = list_exposures(findings.resources, {change.urn for change in findings.preview.changes})
    if exposures:
        rows = [f"- {code(group)} allows {code(rule)}\n" for group, rule in exposures]
        yield Section("Open to the internet", rows=rows, what="rules")


def _render_changes(findings: Findings) -> Section:
    if not findings.preview.changes:
        return Section("Resources", "Nothing changes." if findings.is_previewed else "Nothing was previewed.")
    rows = [_render_change(change) for change in findings.preview.changes]
    head = "| | resource | type | what changes |\n|---|---|---|---|\n"
    if len(rows) <= 30:
        return Section("Resources", rows=rows, what="resources", row_start=head)
    folded = f"<details><summary>{len(rows)} resources</summary>\n\n{head}"
    return Section("Resources", rows=rows, what="resources", row_start=folded, row_end="\n</details>\n")


def _render_change(change: ResourceChange) -> str:
    shown = [_render_property(each) for each in change.properties[:_SHOWN_PROPERTIES]]
    if len(change.properties) > _SHOWN_PROPERTIES:
        shown.append(f"and {len(change.properties) - _SHOWN_PROPERTIES} more")
    kind = f"{_SIGNS[change.kind]} {change.kind}"
    return f"| {kind} | {code(change.name)} | {code(change.type)} | {'<br>'.join(shown)} |\n"


def _render_property(change: PropertyChange) -> str:
    effect = " (replaces)" if change.replaces else ""
    return f"{code(change.path)}: {format_value(change.before)} → {format_value(change.after)}{effect}"


def format_value(value: Any) -> str:
    """A property's value as code, cut to a length that fits into a table."""
    return "none" if value is ABSENT else code(describe_value(value), 240)


def _render_settings(findings: Findings) -> Iterator[Section]:
    if findings.setting_changes:
        rows = [f"- {escape(line)}\n" for line in findings.setting_changes]
        yield Section("Settings", rows=rows, what="settings")
    if findings.refused_settings:
        rows = [f"{escape(line.strip(), 600)}<br>\n" for line in findings.refused_settings.splitlines()]
        yield Section("Setting changes that a deployed stack does not allow", rows=rows, what="lines")


def _render_cost(findings: Findings) -> Iterator[Section]:
    if findings.cost is None:
        return
    difference = findings.cost.get("difference") or {"rows": []}
    changed = sorted(difference["rows"], key=lambda row: -abs(row["afterUsd"] - row["beforeUsd"]))
    rows = [_render_cost_change(row) for row in changed[:_SHOWN_COST_CHANGES]]
    rows += [_render_missing(row["urn"], f"{row['what']}: {row['reason']}") for row in findings.cost["missing"]]
    rows += [_render_missing(row["urn"], "not known whether it costs anything") for row in findings.cost["unknown"]]
    head = "| | before | after | change |\n|---|---|---|---|\n"
    checked = escape(str(findings.cost["pricesChecked"] or "an unknown date"))
    lead = f"The estimate is {summarize_cost(findings.cost)}, by list prices of {checked} or later."
    budget = findings.cost["budget"]
    if budget and budget["isExceeded"]:
        lead += f" **The budget of {budget['usd']:,.0f} USD is exceeded.**"
    yield Section("Cost", lead, rows, "rows", head)


def _render_missing(urn: str, reason: str) -> str:
    return f"| {code(str(urn).rsplit('::', 1)[-1])} | | no price | {escape(reason)} |\n"


def _render_cost_change(row: Mapping[str, Any]) -> str:
    before, after = float(row["beforeUsd"]), float(row["afterUsd"])
    return f"| {code(str(row['name']))} | {before:,.2f} | {after:,.2f} | {format_signed(after - before)} |\n"


def _render_duration(findings: Findings) -> Iterator[Section]:
    """Render the critical path of the change if there is one, otherwise of the deployment of a new stack."""
    duration = findings.change_duration or findings.duration
    if duration is None:
        return
    of = "what this change creates" if findings.change_duration else "the deployment of a new stack"
    rows = [
        f"| {format_seconds(step['startSeconds'])} | {format_seconds(step['endSeconds'])} "
        f"| {code(str(step['name']))} | {code(str(step['type']))} |\n"
        for step in duration["path"]
    ]
    takes = format_seconds(duration["criticalPathSeconds"])
    lead = f"The critical path of {of} takes {takes}, according to public logs of deployments."
    yield Section("Critical path", lead, rows, "steps", "| from | to | resource | type |\n|---|---|---|---|\n")


def _render_unchecked(findings: Findings) -> Section:
    rows = [f"- {escape(line)}\n" for line in findings.not_rehearsed]
    return Section("Not rehearsed", "" if rows else "No gaps are known.", rows, "notes")
