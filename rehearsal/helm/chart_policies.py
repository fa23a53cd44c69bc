"""The pack's controls over what charts render, which the engine never sees.

The same functions that judge the program's own Kubernetes resources judge every rendered object, with default settings
and under the same reviewed exceptions. What they do not see: pods that an operator will make of a custom kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from policies import (
    Control,
    Finding,
    ReviewedException,
    Undecided,
    controls_over,
    evaluate_manifest,
    load_exceptions,
)
from rehearsal.helm import rendering
from rehearsal.helm.charts import VARIABLE, Chart
from rehearsal.helm.rendering import Release, Rendered, RenderError
from rehearsal.simulator.core.values import SIGNATURE
from rehearsal.simulator.offline_kubernetes import RELEASE

_Exceptions = Sequence[ReviewedException]


@dataclass(frozen=True)
class Violation:
    """One control's fault with one rendered object, and the reviewed exception that covers it, if one does."""

    object: str
    control: Control
    wrong: str
    exception: ReviewedException | None

    @property
    def text(self) -> str:
        return f"{self.object}: {self.control.violation_message(self.wrong)}"


@dataclass(frozen=True)
class Judged:
    """A release's chart, what became of it, and what the controls say; a check is one control on one object."""

    chart: Chart
    rendered: Rendered
    passed: int = 0
    violations: Sequence[Violation] = ()

    @property
    def failed(self) -> list[Violation]:
        return [violation for violation in self.violations if violation.exception is None]

    @property
    def excepted(self) -> list[Violation]:
        return [violation for violation in self.violations if violation.exception is not None]


def faults(charts: Iterable[Judged], *, strict: bool) -> list[str]:
    """Why a rehearsal may not pass: what the cluster would refuse, what a control that is no mere advice does not let
    through, and, where it is strict, what could not be looked at."""
    found = []
    for judged in charts:
        found += [f"{judged.chart.name}: {complaint}" for complaint in judged.rendered.complaints]
        found += [violation.text for violation in judged.failed if violation.control.mandatory]
        if strict and judged.rendered.reason:
            found.append(
                f"{judged.chart.name} was not rendered, and a strict rehearsal does not pass without: "
                f"{judged.rendered.reason}. {VARIABLE} may name a folder with {judged.chart.file}."
            )
    return found


def advice(charts: Iterable[Judged]) -> list[str]:
    """What controls say that stop nothing."""
    return [violation.text for judged in charts for violation in judged.failed if not violation.control.mandatory]


def judge_state(state: str) -> list[Judged]:
    """Every Helm release in the engine's export."""
    reviewed = load_exceptions()
    resources = json.loads(state)["deployment"].get("resources", [])
    return [judge(item["inputs"], reviewed) for item in resources if item["type"] == RELEASE]


def judge(inputs: Mapping[str, Any], reviewed: _Exceptions) -> Judged:
    """One release, from the inputs of its Release resource."""
    chart = Chart.of(inputs)
    if SIGNATURE in json.dumps(inputs):
        return Judged(chart, Rendered(reason="a value is secret, and the state does not give it away"))
    try:
        rendered = rendering.render(Release.of(inputs))
    except RenderError as error:
        return Judged(chart, Rendered(complaints=[f"it does not render: {error}"]))
    passed, violations = 0, []
    for manifest in rendered.objects:
        found = list(_violations(chart, manifest, reviewed))
        passed += len(controls_over(manifest)) - len({violation.control.id for violation in found})
        violations += found
    return Judged(chart, rendered, passed, violations)


def _violations(chart: Chart, manifest: Mapping[str, Any], reviewed: _Exceptions) -> Iterator[Violation]:
    today = datetime.now(UTC).date()
    name = rendering.label(chart, manifest)
    for control, finding in evaluate_manifest(manifest):
        covering = (exception for exception in reviewed if exception.covers(control.id, name, today))
        yield Violation(name, control, _wrong(finding), next(covering, None))


def _wrong(finding: Finding) -> str:
    return f"{finding.path} is not known" if isinstance(finding, Undecided) else finding
