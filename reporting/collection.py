"""Collects the findings of a report: previews the working tree, against its base if one is named."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kernel.deployed_settings import find_deployed_settings
from kernel.engine_events import list_program_errors, list_refusals, read_events
from rehearsal import record
from rehearsal.console import UserError, info
from rehearsal.engine import pulumi_cli
from rehearsal.session import Rehearsal
from rehearsal.simulator.clouds import find_unmodelled, list_notes
from rehearsal.simulator.core.canaries import Canaries
from rehearsal.summary import list_types
from reporting import data_loss
from reporting.base import Base, NotComparableError, bring_up, find_base
from reporting.changes import Preview, read_preview
from reporting.estimation import Estimated, estimate
from reporting.findings import Findings
from reporting.policy_results import PolicyResults, read_results
from reporting.resources import list_declared

_PURPOSE = "report"
_SIMULATED = (
    "The clouds' APIs are simulated. No cluster runs for this report: objects are checked offline, and unlike in "
    "a rehearsal no chart is rendered and no pod starts."
)


def collect(stack: str, reference: str, canaries: Canaries) -> Findings:
    """Everything that a report on a stack says.

    `reference` is a git reference to compare with; empty for none. `canaries` collects the secrets that the simulated
    clouds generate or have generated. Invalid settings are part of the report; invalid arguments raise UserError.
    """
    last = record.read(Rehearsal(stack))
    rehearsal = Rehearsal(stack, _PURPOSE, canaries=canaries)
    commit = _describe_commit(rehearsal.project.root)
    base = find_base(rehearsal.project.root, reference) if reference else None
    try:
        _check_settings(rehearsal)
    except UserError as error:
        return _describe_unpreviewed(stack, commit, base, str(error))
    engine = pulumi_cli.engine()
    not_compared = _prepare_base(rehearsal, base, engine)
    deployed = rehearsal.read_resources()
    setting_changes, refused = _compare_settings(rehearsal, deployed)
    events, refusals = _preview(rehearsal, engine)
    preview = read_preview(events)
    resources = list_declared(events)
    # If something was refused, the engine stopped, and the rest of the stack is not known.
    estimated = Estimated() if refusals else estimate(rehearsal, events, _plan(rehearsal), deployed, reference)
    return Findings(
        stack,
        commit,
        preview,
        read_results(events),
        base,
        not_compared,
        refusals,
        setting_changes,
        refused,
        data_loss.list_warnings(preview.changes),
        resources,
        estimated.cost,
        estimated.duration,
        estimated.change_duration,
        [*([estimated.problem] if estimated.problem else []), *_list_unchecked(resources, last)],
        last,
    )


def _describe_unpreviewed(stack: str, commit: str, base: Base | None, problem: str) -> Findings:
    """The findings on a stack whose settings are invalid: nothing else can be known about it."""
    preview, policies = Preview((), 0), PolicyResults(0, 0, ())
    reason = "its settings are invalid." if base else ""
    return Findings(stack, commit, preview, policies, base, reason, {"settings": problem}, is_previewed=False)


def _plan(rehearsal: Rehearsal) -> Path:
    return rehearsal.folder / "preview-plan.json"


def _check_settings(rehearsal: Rehearsal) -> None:
    """Check the settings with the project's own rules. Raises UserError with what is wrong in them."""
    check = rehearsal.project.settings_check()
    if check is None:
        return
    try:
        check(rehearsal.project.read_stack_file(rehearsal.stack), rehearsal.stack)
    except ValueError as error:
        raise UserError(str(error)) from None


def _prepare_base(rehearsal: Rehearsal, base: Base | None, engine: Path) -> str:
    """Put the rehearsal into the base's state, if there is one; returns why the base cannot be compared with."""
    if base is None:
        rehearsal.remove()
        return ""
    try:
        bring_up(base, rehearsal, engine)
    except NotComparableError as error:
        rehearsal.remove()
        return str(error)
    return ""


def _compare_settings(rehearsal: Rehearsal, deployed: Sequence[Mapping[str, Any]]) -> tuple[list[str], str]:
    """What the changed settings do, one line each, and why they are refused."""
    compare, settings = rehearsal.project.settings_comparison(), find_deployed_settings(deployed)
    if compare is None or settings is None:
        return [], ""
    file = rehearsal.project.read_stack_file(rehearsal.stack)
    try:
        lines = compare(file, rehearsal.stack, settings, ())
    except ValueError as error:
        return [], str(error)
    return [line.strip().removeprefix("- ") for line in lines.splitlines()], ""


def _preview(rehearsal: Rehearsal, engine: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The events of a preview with the policies, and what was refused in it."""
    info(f"Previewing {rehearsal.stack} as it is here, on simulated clouds.")
    pack = rehearsal.project.policy_pack
    log = rehearsal.folder / "preview-events.jsonl"
    policies = ["--policy-pack", str(pack)] if pack else []
    _plan(rehearsal).unlink(missing_ok=True)
    with rehearsal.previewing(engine, renders_charts=False) as environment:
        files = ["--event-log", str(log), "--save-plan", str(_plan(rehearsal))]
        command = ["preview", "--color", "never", "--suppress-progress", *policies, *files]
        reply = rehearsal.pulumi(command, environment, quiet=True)
    events = list(read_events(log))
    if unmodelled := find_unmodelled(list_types(events)):
        return events, dict.fromkeys(unmodelled, "the simulated clouds have no model of this type")
    if reply.returncode == 0:
        return events, {}
    refusals = list_refusals(events)
    if not refusals and (errors := list_program_errors(events)):
        refusals = {"program": "\n".join(errors)}
    if refusals or any(each.is_mandatory for each in read_results(events).violations):
        return events, refusals
    return events, {"engine": " ".join(reply.stderr.split())[-1000:] or "the preview failed without a reason"}


def _list_unchecked(resources: Sequence[Mapping[str, Any]], last: Mapping[str, Any] | None) -> list[str]:
    unchecked = [] if last and last.get("cluster") else [_SIMULATED]
    for chart in last["charts"] if last else ():
        if chart["skipReason"]:
            unchecked.append(f"The chart {chart['name']} {chart['version']} was not rendered: {chart['skipReason']}")
    return [*unchecked, *list_notes(resources)]


def _describe_commit(root: Path) -> str:
    """The working tree's commit, with a plus if files differ from it; empty if it is not known."""
    git = ["git", "--no-optional-locks", "-C", str(root)]
    head, status = (
        subprocess.run([*git, *command], capture_output=True, text=True, check=False)
        for command in (("rev-parse", "HEAD"), ("status", "--porcelain"))
    )
    return head.stdout.strip() + ("+" if status.stdout else "") if head.returncode == 0 else ""
