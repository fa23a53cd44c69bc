"""Renders the report on a stack as an HTML page without scripts, external fonts or pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from infra.parity import list_capabilities
from reporting import topology, wording
from reporting.changes import Kind
from reporting.escaping import make_visible
from reporting.findings import Findings
from reporting.resources import group_by_layer, list_custom

_SHOWN_STEPS = 60  # steps of a deployment: those on the critical path, and the longest others
_SHOWN_COSTS = 15
_LONGEST_LINE = 2000  # characters
_FACES = {"azure": "Azure", "aws": "AWS", "cluster": "In the cluster", "core": "The program itself", "stack": "Stack"}


def _make_visible(value: Any) -> Any:
    """Untrusted text with every character made visible; line breaks stay."""
    if not isinstance(value, str):
        return value
    return "\n".join(make_visible(line, _LONGEST_LINE) for line in value.split("\n"))


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("reporting"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    finalize=_make_visible,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Bar:
    """A step in time, or an amount; positions are in percent of the whole."""

    name: str
    detail: str
    text: str
    start: float
    length: float
    is_critical: bool = False


@dataclass(frozen=True)
class Layer:
    title: str
    components: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.components.values())


def render(findings: Findings) -> str:
    """The whole page."""
    columns, access = topology.list_access()
    text = _ENVIRONMENT.get_template("report.html").render(
        findings=findings,
        record=findings.record,
        exposures=topology.list_exposures(findings.resources, {each.urn for each in findings.preview.changes}),
        kinds=list(Kind),
        conclusion=wording.find_conclusion(findings),
        tiles=list(wording.summarize(findings)),
        describe_value=wording.describe_value,
        layers=_list_layers(findings),
        total=len(list_custom(findings.resources)),
        networks=topology.read_networks(findings.resources),
        graph=topology.draw_access(),
        columns=columns,
        access=access,
        costs=list(_list_costs(findings.cost)),
        steps=list(_list_steps(findings.duration)),
        duration=findings.duration,
        seconds=wording.format_seconds,
        capabilities=list_capabilities(),
        fidelity=list(_list_fidelity(findings.record)),
    )
    return "\n".join(line for line in text.splitlines() if line.strip()) + "\n"


def _list_layers(findings: Findings) -> list[Layer]:
    groups = group_by_layer(findings.resources)
    return [Layer(_FACES.get(name, name), dict(sorted(groups[name].items()))) for name in sorted(groups, key=_order)]


def _order(layer: str) -> int:
    return list(_FACES).index(layer) if layer in _FACES else len(_FACES)


def _list_costs(cost: Mapping[str, Any] | None) -> Iterator[Bar]:
    """The groups of an estimate, the dearest first."""
    groups = sorted(cost["groups"], key=lambda group: -group["usd"])[:_SHOWN_COSTS] if cost else []
    largest = max((group["usd"] for group in groups), default=0) or 1
    for group in groups:
        yield Bar(str(group["group"]), "", f"{group['usd']:,.2f}", 0, round(100 * group["usd"] / largest, 2))


def _list_steps(duration: Mapping[str, Any] | None) -> Iterator[Bar]:
    """The steps of a deployment in the order of their start: all critical ones, and the longest others."""
    if duration is None or not duration["makespanSeconds"]:
        return
    whole, steps = float(duration["makespanSeconds"]), duration["steps"]
    shown = sorted(steps, key=lambda step: (not step["isCritical"], step["startSeconds"] - step["endSeconds"]))
    for step in sorted(shown[:_SHOWN_STEPS], key=lambda step: (step["startSeconds"], step["endSeconds"])):
        start, length = step["startSeconds"], step["endSeconds"] - step["startSeconds"]
        yield Bar(
            str(step["name"]),
            str(step["type"]),
            f"{wording.format_seconds(start)} + {wording.format_seconds(length)}",
            round(100 * start / whole, 2),
            round(100 * length / whole, 2),
            bool(step["isCritical"]),
        )


@dataclass(frozen=True)
class Part:
    """A part of the rehearsal: what was real in it, and what was simulated."""

    name: str
    real: str
    simulated: str


def _list_fidelity(record: Mapping[str, Any] | None) -> Iterator[Part]:
    cluster = record.get("cluster") if record else None
    yield Part("Engine", "Pulumi's own engine, previews and state", "")
    yield Part("Program", "the stack's program and settings, unchanged", "values of encrypted settings")
    yield Part("Policies", "the policy pack, in the engine", "")
    yield Part("Clouds", "", "the APIs of Azure and AWS, and what exists in them")
    if not cluster:
        reason = record["noClusterReason"] if record else "the stack was previewed, not rehearsed"
        yield Part("Cluster", "", f"Kubernetes objects are checked offline: {reason or 'the rehearsal ended before'}")
        return
    yield Part(
        "Control plane",
        f"etcd, API server, controllers and scheduler of Kubernetes {cluster['version']}",
        "nodes and kubelets",
    )
    yield Part("Pods", "scheduling, admission, quotas", "the processes in pods, and their traffic")
    rendered = [chart for chart in record["charts"] if not chart["skipReason"]] if record else []
    skipped = [f"{chart['name']} not rendered" for chart in record["charts"] if chart["skipReason"]] if record else []
    yield Part("Charts", f"Helm rendered and installed {len(rendered)} charts", ", ".join(skipped))
    unserved = ", ".join(f"{count} {kind}" for kind, count in sorted(cluster["unserved_objects"].items()))
    yield Part("Custom kinds", f"reconciled: {_join(cluster['served_kinds'])}", f"not reconciled: {unserved or 'none'}")
    calls = ", ".join(f"{name} ({count})" for name, count in cluster["simulated_webhook_calls"].items())
    yield Part("Webhooks", "", f"answered with allowed: {calls or 'none'}")


def _join(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
