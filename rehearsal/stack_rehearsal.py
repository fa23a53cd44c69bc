"""Rehearses a stack end to end: settings, preview, up, second preview, charts, cluster, summary, outcome."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from kernel.engine_events import list_refusals, read_events
from rehearsal import record, setting_changes, summary
from rehearsal.console import UserError, info, progress_hidden
from rehearsal.engine_runs import read_engine, run_engine
from rehearsal.estimation import estimate_state
from rehearsal.helm import chart_policies
from rehearsal.helm.chart_policies import ChartEvaluation
from rehearsal.kubernetes.cluster import Cluster, ClusterReport
from rehearsal.outcome import Outcome
from rehearsal.policy_configuration import read_exceptions
from rehearsal.preparation import Preparation, preparing
from rehearsal.scene import Scene
from rehearsal.secret_leaks import describe_charts, find_leaks, find_leaks_in_text, report_leaks
from rehearsal.session import Rehearsal
from rehearsal.simulator.clouds import find_unmodelled
from rehearsal.simulator.core.simulation import HOW_TO_ADD
from rehearsal.wiring.metrics import read_catalogue

# The steps of a rehearsal, in the usual order: preview, deploy, preview again.
_STEPS = {
    "preview": ["preview"],
    "up": ["up", "--yes", "--skip-preview"],
    "second preview": ["preview", "--expect-no-changes"],
}


def up(arguments: Namespace) -> int:
    """Bring the stack up under its policies, verify that a second preview changes nothing, and summarize.

    If programs have to be built, the first preview already runs as soon as the engine is ready.
    """
    rehearsal = Rehearsal(arguments.stack, arguments.purpose, scene=Scene.parse(arguments))
    has_controls = rehearsal.project.policy_pack is not None
    _check_settings(rehearsal)
    exceptions = read_exceptions() if has_controls else []
    policies = _list_policy_options(rehearsal, arguments.policy_pack_config)
    changes = setting_changes.check(rehearsal, arguments.confirm)
    started = time.monotonic()
    steps = list(_STEPS)
    with preparing() as preparation:
        conclude = partial(_conclude, rehearsal, preparation, started)
        preparation.engine()
        info(f"Rehearsing {rehearsal.stack}: real engine, real program, real policies; the clouds are simulated.")
        _report_settings(rehearsal)
        if unusual := rehearsal.scene.describe():
            info(f"Circumstances of this rehearsal: {unusual}.")
        if rehearsal.is_new() and not preparation.is_complete():
            with progress_hidden(), rehearsal.previewing(preparation.engine(), arguments.port) as environment:
                code = _run_step(rehearsal, steps.pop(0), environment, changes, policies)
            if code != 0:
                return _stop(rehearsal, conclude, "preview")
            info("\nThe rest of the rehearsal needs programs that are still being built.")
        with rehearsal.running(arguments.port, preparation=preparation) as running:
            if running.unavailable_reason:
                reason = running.unavailable_reason
                info(f"There is no control plane, so Kubernetes objects are only checked offline: {reason}")
            for step in steps:
                code = _run_step(rehearsal, step, running.environment, changes, policies)
                if code != 0:
                    _report_ended_processes(running.cluster)
                    return _stop(rehearsal, conclude, step)
            info("\nEvaluating the charts and the cluster.")
            state = read_engine(rehearsal, ["stack", "export"], running.environment)
            report = _report_on_cluster(rehearsal, running.cluster, state) if running.cluster else None
    charts = chart_policies.evaluate_releases(state, rehearsal.settings_in_force().values, has_controls=has_controls)
    estimate = estimate_state(rehearsal, state)
    leaks = find_leaks(rehearsal, {"the engine's export": state, **describe_charts(charts)})
    events = {step: _events(rehearsal, step) for step in _STEPS}
    # Problems that the engine does not report: in the charts' objects, in the pods.
    problems = {
        "its charts": chart_policies.list_problems(charts, strict=arguments.strict),
        "its cluster": report.problems if report else [],
        "its cost": estimate.list_problems() if estimate else [],
        "its secrets": leaks,
    }
    failures = [place for place, found in problems.items() if found]
    placeholders = rehearsal.placeholders()
    text = summary.render(
        rehearsal.stack,
        state,
        events,
        charts,
        exceptions,
        report,
        failures,
        placeholders,
        estimate,
        circumstances=rehearsal.resolve_circumstances(),
        inaccessible_services=rehearsal.find_inaccessible_services(),
        secrets=_describe_secrets(rehearsal, leaks),
    )
    # Its sources have been searched, but the summary itself is searched too before it is printed.
    if withheld := find_leaks_in_text(rehearsal, "the summary", text):
        problems["its secrets"] = [*leaks, *withheld]
    else:
        print(text, flush=True)
    _report_problems(charts, problems.values())
    failures = [place for place, found in problems.items() if found]
    return conclude(failures, "the reasons are above", charts, report, running.unavailable_reason)


def _describe_secrets(rehearsal: Rehearsal, leaks: Sequence[str]) -> str:
    generated = f"{len(rehearsal.canaries)} generated by the simulated clouds"
    return f"{generated}, found where they must not be" if leaks else f"{generated}, none found in plain text"


def _stop(rehearsal: Rehearsal, conclude: Callable[[Sequence[str], str], int], step: str) -> int:
    """Conclude with the step at which the engine stopped; its files are searched for secrets even so."""
    failures = [f"its {step}", *(["its secrets"] if report_leaks(rehearsal) else [])]
    return conclude(failures, "the engine's message is above" if len(failures) == 1 else "the reasons are above")


def _report_on_cluster(rehearsal: Rehearsal, cluster: Cluster, state: str) -> ClusterReport:
    caller = rehearsal.resolve_circumstances().caller
    return cluster.report(state, caller, read_catalogue(rehearsal.project.metrics))


def _conclude(
    rehearsal: Rehearsal,
    preparation: Preparation,
    started: float,
    failures: Sequence[str],
    remedy: str,
    charts: Sequence[ChartEvaluation] = (),
    report: ClusterReport | None = None,
    no_cluster_reason: str = "",
) -> int:
    """Record and print the outcome; returns the exit code. `started` is on the monotonic clock."""
    builds = preparation.seconds_waited
    outcome = Outcome(rehearsal.stack, failures, remedy, time.monotonic() - started - builds, builds)
    logs = {step: _events(rehearsal, step) for step in _STEPS}
    record.write(rehearsal, logs, outcome.seconds, failures, charts, report, no_cluster_reason)
    info(outcome.render(rehearsal.project.shorten(rehearsal.project.stack_file(rehearsal.stack))))
    return int(bool(failures))


def _list_policy_options(rehearsal: Rehearsal, configuration: str) -> list[str]:
    """The engine's options for the policy pack and the file with its configuration, which is optional."""
    pack = rehearsal.project.policy_pack
    if pack is None:
        return []
    configured = ["--policy-pack-config", str(Path(configuration).resolve())] if configuration else []
    return ["--policy-pack", str(pack), *configured]


def _run_step(
    rehearsal: Rehearsal, step: str, environment: Mapping[str, str], changes: str, policies: Sequence[str]
) -> int:
    """Run one step under the policies; returns the engine's exit code. `changes` are the changed settings."""
    info(f"\n{step.capitalize()}:")
    if step == "preview":
        _forget_last(rehearsal)
    log = _events(rehearsal, step)
    # If it finds no changes, its output would only repeat the warnings of the first preview.
    is_repeated = step == "second preview"
    code = run_engine(rehearsal, [*_STEPS[step], *policies], environment, log, shown_on_failure=is_repeated)
    if code != 0:
        _explain_stop(rehearsal, step, list(read_events(log)), changes)
    elif step == "preview":
        _require_models(summary.list_types(read_events(log)))
    elif is_repeated:
        info("  nothing would change")
    return code


def _forget_last(rehearsal: Rehearsal) -> None:
    """Remove the record and event logs of the last rehearsal, so that this one's record does not contain them."""
    for path in (rehearsal.folder / record.FILE, *(_events(rehearsal, step) for step in _STEPS)):
        path.unlink(missing_ok=True)


def _explain_stop(rehearsal: Rehearsal, step: str, events: Sequence[Mapping[str, Any]], changes: str) -> None:
    """Print, for a step that stopped, how many checks the policies had run, and which settings may be the cause."""
    results = summary.policy_results(events)
    if rehearsal.project.policy_pack and not results.failed:
        # The engine prints a tick for a pack that found nothing, even if it evaluated only a few resources.
        info(f"\n{results.passed} policy checks had passed when the {step} stopped; the other checks did not run.")
    if causes := setting_changes.explain_failure(rehearsal, changes, list_refusals(events)):
        info(f"\n{causes}")


def _require_models(types: Iterable[str]) -> None:
    """Raise UserError with all types of which the simulated clouds have no model."""
    unmodelled = find_unmodelled(types)
    if unmodelled:
        listed = "".join(f"\n  {type_}" for type_ in unmodelled)
        raise UserError(f"The simulated clouds have no model of these resource types:{listed}\n{HOW_TO_ADD}")


def _check_settings(rehearsal: Rehearsal) -> None:
    """Check the stack's settings by the project's own rules, so that a mistake is reported before anything starts.

    Raises UserError.
    """
    settings = rehearsal.settings_in_force()
    check = rehearsal.project.settings_check()
    if check is None:
        return
    try:
        check(settings, rehearsal.stack)
    except ValueError as error:
        raise UserError(f"{error}{_describe_own_settings(rehearsal)}") from None


def _describe_own_settings(rehearsal: Rehearsal) -> str:
    """A note on settings that only this rehearsal has, since a message about one of them names the stack's file."""
    own = rehearsal.changed_settings() if rehearsal.backend.exists() else []
    if not own:
        return ""
    return (
        f"\nThe rehearsal has its own values, set by `pulumi config set`, of: {', '.join(own)}. To remove one, run "
        f"`pulumi config rm <key>` in `make shell STACK={rehearsal.stack}`; `make rehearse-reset "
        f"STACK={rehearsal.stack}` removes all of them, and the rehearsal itself."
    )


def _report_settings(rehearsal: Rehearsal) -> None:
    """Print where the rehearsal's settings differ from the stack's file."""
    rehearsal.refresh_settings()
    placeholders, changed = rehearsal.placeholders(), rehearsal.changed_settings()
    if placeholders:
        info(
            "Only the real stack can decrypt its settings; the rehearsal has placeholders for "
            f"{', '.join(placeholders)}. To use another value, run `pulumi config set --secret` in `make shell`."
        )
    if changed:
        file = rehearsal.project.shorten(rehearsal.project.stack_file(rehearsal.stack))
        info(
            f"Settings of this rehearsal that differ from {file}: {', '.join(changed)}. "
            f"`make rehearse-reset STACK={rehearsal.stack}` discards them."
        )


def _report_ended_processes(cluster: Cluster | None) -> None:
    """Print which processes of the control plane have ended, in addition to the engine's message."""
    for fault in cluster.plane.problems() if cluster else ():
        info(f"\n{fault}. The same command starts it again.")


def _report_problems(charts: Sequence[ChartEvaluation], problems: Iterable[Sequence[str]]) -> None:
    """Print in full the problems that the engine did not report."""
    for line in [*chart_policies.list_advisories(charts), *(line for found in problems for line in found)]:
        info(f"\n{line}")


def _events(rehearsal: Rehearsal, step: str) -> Path:
    return rehearsal.folder / f"{step.replace(' ', '-')}-events.jsonl"
