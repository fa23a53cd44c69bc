"""Evaluates the policy pack's Kubernetes controls on the objects that charts render, which the engine never sees.

Controls, the stack's settings and reviewed exceptions are the same as for the program's own Kubernetes resources. Pods
that an operator will create from a custom resource are not covered.
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
from rehearsal.helm.charts import FOLDER_VARIABLE, Chart
from rehearsal.helm.rendering import Release, RenderedRelease, RenderError
from rehearsal.simulator.core.values import SIGNATURE
from rehearsal.simulator.offline_kubernetes import RELEASE

_Exceptions = Sequence[ReviewedException]


@dataclass(frozen=True)
class Violation:
    """One control that one rendered object violates, and the reviewed exception that covers it, if any."""

    object: str
    control: Control
    reason: str
    exception: ReviewedException | None

    @property
    def text(self) -> str:
        return f"{self.object}: {self.control.violation_message(self.reason)}"


@dataclass(frozen=True)
class ChartEvaluation:
    """A release's rendered chart, and the results of the controls on it. A check is one control on one object."""

    chart: Chart
    rendered: RenderedRelease
    passed: int = 0
    violations: Sequence[Violation] = ()

    @property
    def failed(self) -> list[Violation]:
        return [violation for violation in self.violations if violation.exception is None]

    @property
    def exempt(self) -> list[Violation]:
        return [violation for violation in self.violations if violation.exception is not None]


def list_problems(charts: Iterable[ChartEvaluation], *, strict: bool) -> list[str]:
    """Problems that fail a rehearsal: objects that the API server would reject, violations of mandatory controls, and
    charts that were not rendered if `strict`."""
    problems = []
    for evaluation in charts:
        chart, rendered = evaluation.chart, evaluation.rendered
        problems += [f"{chart.short_name}: {problem}" for problem in rendered.problems]
        problems += [violation.text for violation in evaluation.failed if violation.control.mandatory]
        if strict and rendered.skip_reason:
            problems.append(
                f"{chart.short_name} was not rendered, which STRICT=1 does not allow: {rendered.skip_reason}. Set "
                f"{FOLDER_VARIABLE} to a folder that contains {chart.file_name}."
            )
    return problems


def list_advisories(charts: Iterable[ChartEvaluation]) -> list[str]:
    """Violations of advisory controls, which do not fail a rehearsal."""
    return [violation.text for chart in charts for violation in chart.failed if not violation.control.mandatory]


def evaluate_releases(state: str, configuration: Mapping[str, str], *, has_controls: bool) -> list[ChartEvaluation]:
    """Evaluate every Helm release in the engine's exported state (JSON); without `has_controls`, only render it.

    `configuration` is the stack's configuration, in the form that a program receives.
    """
    exceptions = load_exceptions() if has_controls else None
    resources = json.loads(state)["deployment"].get("resources", [])
    releases = (item["inputs"] for item in resources if item["type"] == RELEASE)
    return [evaluate_release(inputs, exceptions, configuration) for inputs in releases]


def evaluate_release(
    inputs: Mapping[str, Any], exceptions: _Exceptions | None, configuration: Mapping[str, str] | None = None
) -> ChartEvaluation:
    """Evaluate one release, given the inputs of its Release resource; no control applies if `exceptions` is None."""
    chart = Chart.from_inputs(inputs)
    if SIGNATURE in json.dumps(inputs):
        reason = "a value is secret, and the state does not reveal it"
        return ChartEvaluation(chart, RenderedRelease(skip_reason=reason))
    try:
        rendered = rendering.render(Release.from_inputs(inputs))
    except RenderError as error:
        return ChartEvaluation(chart, RenderedRelease(problems=[f"it does not render: {error}"]))
    if exceptions is None:
        return ChartEvaluation(chart, rendered)
    passed, violations = 0, []
    for manifest in rendered.objects:
        found = list(_find_violations(chart, manifest, exceptions, configuration))
        passed += len(controls_over(manifest)) - len({violation.control.id for violation in found})
        violations += found
    return ChartEvaluation(chart, rendered, passed, violations)


def _find_violations(
    chart: Chart, manifest: Mapping[str, Any], exceptions: _Exceptions, configuration: Mapping[str, str] | None
) -> Iterator[Violation]:
    today = datetime.now(UTC).date()
    name = rendering.object_label(chart, manifest)
    for control, finding in evaluate_manifest(manifest, configuration):
        covering = (exception for exception in exceptions if exception.covers(control.id, name, today))
        yield Violation(name, control, _describe(finding), next(covering, None))


def _describe(finding: Finding) -> str:
    return f"{finding.path} is not known" if isinstance(finding, Undecided) else finding
