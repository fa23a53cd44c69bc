"""The summary at the end of a rehearsal, from the engine's own state and events."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernel.engine_events import read_events
from policies import ReviewedException
from rehearsal.estimation import StackEstimate
from rehearsal.helm.chart_policies import ChartEvaluation, Violation
from rehearsal.kubernetes.cluster import ClusterReport
from rehearsal.simulator.clouds import list_notes, list_old_calendars
from rehearsal.simulator.core.circumstances import USUAL, Circumstances
from rehearsal.simulator.core.values import SIGNATURE

_WIDTH = 100
_SIMULATED = (
    "the clouds' APIs and what they bring into a cluster; nodes; the processes in pods, and so their network traffic"
)
_OFFLINE = "the clouds' APIs; Kubernetes: objects, charts' too, are checked offline and start no pods"
# The policy pack's message about checks that depend on values that are not known yet.
UNDECIDED = re.compile(r"(\d+) checks depend on values that are not known yet")


@dataclass
class PolicyResults:
    """The policies' results in one run of the program; a check is one control on one resource or stack."""

    passed: int = 0
    failed: int = 0
    undecided: int = 0
    advisories: list[str] = field(default_factory=list)


def render(
    stack: str,
    state: str,
    logs: Mapping[str, Path],
    charts: Sequence[ChartEvaluation],
    exceptions: Sequence[ReviewedException],
    cluster: ClusterReport | None,
    failures: Sequence[str],
    placeholders: Sequence[str],
    estimate: StackEstimate | None,
    circumstances: Circumstances = USUAL,
    inaccessible_services: Sequence[str] = (),
    secrets: str = "",
) -> str:
    """The text of the summary.

    state                  the engine's export, JSON
    logs                   the engine's event log of each step: preview, up, second preview
    charts                 the Helm releases' charts and their checks
    exceptions             the policy pack's reviewed exceptions
    cluster                the cluster's state at the end; None without a control plane
    failures               where the rehearsal failed; none if it passed
    placeholders           settings whose encrypted values only the real stack can read
    estimate               cost of the stack and duration of a deployment; None if the project has no cost settings
    circumstances          in which the rehearsal took place
    inaccessible_services  services that the caller cannot reach, and why
    secrets                how many secrets were generated, and whether any leaked
    """
    resources = json.loads(state)["deployment"].get("resources", [])
    declared = [item for item in resources if item.get("custom") and not item["type"].startswith("pulumi:")]
    by_urn = {item["urn"]: item for item in resources}
    sections = {
        "Resources by layer": _counts(_layer(item, by_urn) for item in declared),
        "Resources by kind": _counts(_kind(item["type"]) for item in declared),
        "Policies": [
            *(line for step, log in logs.items() for line in _policies(step, log)),
            *_exceptions(exceptions, {item["urn"].rsplit("::", 1)[-1] for item in declared}),
        ],
        "Charts": [line for chart in charts for line in _chart(chart, installed=cluster is not None)] or ["none"],
        "Cluster": _cluster(cluster),
        "Estimates": estimate.summary_lines() if estimate else ["none"],
        "Outputs": _outputs(resources),
        "Second preview": [_second_preview(logs["second preview"])],
        "Closed to the caller": list(inaccessible_services) or ["nothing"],
        **({"Secrets": [secrets]} if secrets else {}),
        "Not checked": [*list_old_calendars(circumstances.today), *list_notes(declared, circumstances)] or ["none"],
        "Simulated": [
            _SIMULATED if cluster else _OFFLINE,
            *(f"{'placeholder':15} {key}: encrypted in the stack's file" for key in placeholders),
        ],
    }
    outcome = f"FAILED at {' and '.join(failures)}" if failures else "PASSED"
    lines = [f" Rehearsal of {stack}: {outcome} ".center(_WIDTH, "=")]
    for title, body in sections.items():
        lines += ["", title, *(f"  {line}" for line in body)]
    lines += ["", _total(resources, len(declared)), "=" * _WIDTH]
    return "\n".join(lines)


def _total(resources: Sequence[Mapping[str, Any]], declared: int) -> str:
    """The number of resources, and how it relates to the engine's count, which excludes its default providers."""
    providers = sum(
        item["type"].startswith("pulumi:providers:") and not item["urn"].rsplit("::", 1)[-1].startswith("default")
        for item in resources
    )
    components = sum(not item.get("custom") and not item["type"].startswith("pulumi:") for item in resources)
    others = f"components ({components}), providers ({providers}) and the stack itself"
    return f"{declared} resources; the engine counts {declared + components + providers + 1}, with {others}"


def policy_results(events: Iterable[Mapping[str, Any]]) -> PolicyResults:
    """Count the policies' results in the events of one run of the program."""
    run = PolicyResults()
    for event in events:
        for name in ("policyAnalyzeSummaryEvent", "policyAnalyzeStackSummaryEvent"):
            run.passed += len(event.get(name, {}).get("passed", ()))
            run.failed += len(event.get(name, {}).get("failed", ()))
        policy = event.get("policyEvent", {})
        if undecided := UNDECIDED.search(policy.get("message", "")):
            run.undecided += int(undecided[1])
            run.failed -= 1  # the engine counts every policy with an advisory as failed
        elif policy.get("enforcementLevel") == "warning":
            run.advisories.append(f"{policy['policyName']}: {policy.get('resourceUrn', '').rsplit('::', 1)[-1]}")
    return run


def list_types(events: Iterable[Mapping[str, Any]]) -> set[str]:
    """The types of the resources that a run of the program declared."""
    return {event["resourcePreEvent"]["metadata"]["type"] for event in events if "resourcePreEvent" in event}


def _policies(step: str, log: Path) -> list[str]:
    run = policy_results(read_events(log))
    counts = f"{step:15} {run.passed} checks passed, {run.failed} failed, {run.undecided} undecided (value not known)"
    return [counts, *(f"{'':15} advisory {advisory}" for advisory in run.advisories)]


def _exceptions(reviewed: Iterable[ReviewedException], names: Collection[str]) -> list[str]:
    """The reviewed exceptions that apply to this stack."""
    concerned = [item for item in reviewed if any(item.matches(name) for name in names)]
    return [f"{'exempt':15} {item.resource} from {item.control} until {item.expires}" for item in concerned]


def _counts(names: Iterable[str]) -> list[str]:
    return [f"{count:4}  {name}" for name, count in sorted(Counter(names).items())]


def _layer(resource: Mapping[str, Any], by_urn: Mapping[str, Mapping[str, Any]]) -> str:
    """The outermost component that a resource belongs to: `azure / network`."""
    layer = "stack"
    above = by_urn.get(resource.get("parent", ""))
    while above is not None:
        if not above.get("custom") and not above["type"].startswith("pulumi:"):
            layer = f"{above['type'].split(':')[1]} / {above['urn'].rsplit('::', 1)[-1]}"
        above = by_urn.get(above.get("parent", ""))
    return layer


def _kind(type_: str) -> str:
    """`aws:s3/bucket:Bucket` -> `aws s3`, `kubernetes:core/v1:Secret` -> `kubernetes core`."""
    package, module, _ = type_.split(":")
    return f"{package} {module.split('/', 1)[0]}"


def _chart(evaluation: ChartEvaluation, *, installed: bool) -> list[str]:
    """What was checked of a chart and what was not.

    `installed`: the API server has accepted its objects, including custom kinds, whose schemas it knows.
    """
    title, rendered = f"{evaluation.chart.short_name} {evaluation.chart.version}:", evaluation.rendered
    if rendered.skip_reason:
        return [f"{title} not rendered: {rendered.skip_reason}"]
    if not rendered.objects:
        return [f"{title} refused: {'; '.join(rendered.problems) or 'it renders no objects'}"]
    custom = len(rendered.custom_objects)
    checked = (
        "accepted by the API server"
        if installed
        else f"{len(rendered.objects) - custom} checked, {custom} not checked (custom kinds)"
    )
    return [
        f"{title} {len(rendered.objects)} objects rendered, {checked}; {evaluation.passed} checks passed, "
        f"{_count_checks(evaluation.failed)} failed, {_count_checks(evaluation.exempt)} exempt",
        *(f"  refused {problem}" for problem in rendered.problems),
        *sorted({f"  failed {violation.object} at {violation.control.id}" for violation in evaluation.failed}),
        *sorted(
            {
                f"  exempt {violation.object} from {violation.control.id} until {violation.exception.expires}"
                for violation in evaluation.exempt
                if violation.exception
            }
        ),
    ]


def _count_checks(violations: Sequence[Violation]) -> int:
    return len({(violation.object, violation.control.id) for violation in violations})


def _cluster(report: ClusterReport | None) -> list[str]:
    if report is None:
        return ["none: there is no control plane"]
    pods = ", ".join(f"{count} {phase}" for phase, count in sorted(report.pods.items())) or "none"
    return [
        f"{'control plane':15} Kubernetes {report.version}",
        f"{'pods':15} {pods}",
        *(f"{'pool':15} {line}" for line in report.capacity),
        *(f"{'note':15} {note}" for note in report.notes),
        *(
            f"{'webhook':15} {name} called {times} times, accepted: its pods are simulated"
            for name, times in report.simulated_webhook_calls.items()
        ),
        *([f"{'reconciled':15} {', '.join(report.served_kinds)}, by a real controller"] if report.served_kinds else []),
        *_not_reconciled(report.unserved_objects),
        *(f"{'not ready':15} {problem}" for problem in report.problems),
    ]


def _not_reconciled(kinds: Mapping[str, int]) -> list[str]:
    if not kinds:
        return []
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return [f"{'not reconciled':15} {counted}: their controllers are simulated pods"]


def _outputs(resources: Sequence[Mapping[str, Any]]) -> list[str]:
    stack = next((item for item in resources if item["type"] == "pulumi:pulumi:Stack"), {})
    outputs = stack.get("outputs", {})
    return [f"{name:18} {_shown(value)}" for name, value in sorted(outputs.items())]


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "[secret]" if SIGNATURE in value else f"{len(value)} values, in `pulumi stack output`"
    return str(value)


def _second_preview(events: Path) -> str:
    summary = next((event["summaryEvent"] for event in read_events(events) if "summaryEvent" in event), None)
    if summary is None:
        return "did not finish"
    changes = {name: count for name, count in summary["resourceChanges"].items() if name != "same"}
    if not changes:
        return f"0 changes, {summary['resourceChanges'].get('same', 0)} unchanged"
    return "CHANGES: " + ", ".join(f"{count} to {name}" for name, count in sorted(changes.items()))
