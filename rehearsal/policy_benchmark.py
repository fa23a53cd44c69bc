"""`make bench-policies`: measures the overhead of the policy pack, and writes docs/benchmarks-policies.md.

Seconds depend on the machine. What carries over to others is the ratio of a stack's preview with the pack to the same
preview without it, measured alternately in one run. The floor is the same ratio for a pack without controls, the least
that any pack in Python costs. Controls are timed on the resources of previews.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import policies
from kernel.engine_events import read_events
from kernel.values import UNKNOWN
from policies import Control, Resource
from rehearsal import project
from rehearsal.console import UserError, info
from rehearsal.empty_policy_pack import write_empty_pack
from rehearsal.engine import pulumi_cli
from rehearsal.measurement import Measurement, compare, describe_measurement, run
from rehearsal.session import Rehearsal
from rehearsal.toolchain import ROOT

REPORT = ROOT / "docs" / "benchmarks-policies.md"
PAIRED_STACKS = ("azure-prod", "aws-prod")
PAIRS = 5
STARTS = 5
ROUNDS = 20
SLOWEST = 10
RATIO_GOAL = 1.15

# A value that a preview does not know, as it appears in the engine's events.
_UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


@dataclass(frozen=True)
class Stack:
    """The resources that a stack's preview declares."""

    name: str
    resources: Sequence[Resource]


@dataclass(frozen=True)
class Previews:
    """Alternating previews of one stack with the pack, with a pack that has no controls, and without a pack."""

    stack: str
    resources: int
    with_pack: Sequence[Measurement]
    with_empty: Sequence[Measurement]
    without: Sequence[Measurement]

    @property
    def ratio(self) -> float:
        return _compare_pairs(self.with_pack, self.without)

    @property
    def floor(self) -> float:
        return _compare_pairs(self.with_empty, self.without)


@dataclass(frozen=True)
class Cost:
    """Microseconds of processor time that one control takes per resource, or per stack if it evaluates whole stacks."""

    control: Control
    evaluations: int
    microseconds: float


@dataclass(frozen=True)
class Starts:
    """Seconds that several starts took, of the pack and of one without controls."""

    pack: Sequence[float]
    empty: Sequence[float]


def main() -> int:
    pack = project.current().require("policy_pack")
    try:
        with tempfile.TemporaryDirectory() as folder:
            empty = write_empty_pack(Path(folder), pack)
            stacks, previews = _run_previews(pack, empty)
            starts, floor = ([start_pack(each) for _ in range(STARTS)] for each in (pack, empty))
    except UserError as error:
        info(f"error: {error}")
        return 1
    costs = [_measure_control(control, stacks) for control in policies.controls()]
    REPORT.write_text(format_report(stacks, previews, Starts(starts, floor), costs))
    info(f"Written to {REPORT.relative_to(ROOT)}.")
    return 0


def _run_previews(pack: Path, empty: Path) -> tuple[list[Stack], list[Previews]]:
    stacks, previews = [], []
    for name in project.current().stack_names:
        rehearsal = Rehearsal(name, "bench-policies")
        rehearsal.remove()
        with rehearsal.running() as running:
            events = rehearsal.folder / "bench-events.jsonl"
            without = [str(pulumi_cli.engine()), "--cwd", str(rehearsal.workspace.folder), "preview"]
            info(f"  {name}: the resources of its preview")
            run([*without, "--event-log", str(events)], running.environment)
            stacks.append(Stack(name, _read_resources(events)))
            if name in PAIRED_STACKS:
                with_pack, with_empty = ([*without, "--policy-pack", str(each)] for each in (pack, empty))
                run(with_pack, running.environment)  # fills caches
                rounds = []
                for number in range(PAIRS):
                    info(f"  {name}: preview with the pack, an empty one and none, round {number + 1} of {PAIRS}")
                    rounds.append([run(each, running.environment) for each in (with_pack, with_empty, without)])
                previews.append(Previews(name, len(stacks[-1].resources), *zip(*rounds, strict=True)))
        rehearsal.remove()
    return stacks, previews


def _read_resources(events: Path) -> list[Resource]:
    found = [event["resourcePreEvent"]["metadata"] for event in read_events(events) if "resourcePreEvent" in event]
    declared = [each for each in found if each.get("new")]
    return [
        Resource(each["type"], each["urn"].rsplit("::", 1)[-1], each["urn"], _to_plain(each["new"].get("inputs") or {}))
        for each in declared
    ]


def _to_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _to_plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_to_plain(each) for each in value]
    return UNKNOWN if value == _UNKNOWN_TEXT else value


def start_pack(pack: Path) -> float:
    """Seconds until a pack's process reports the port it serves on, started as Pulumi's language host does it."""
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(pack)]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    port = process.stdout.readline() if process.stdout else ""
    seconds = time.monotonic() - started
    process.terminate()
    _, errors = process.communicate(timeout=30)
    if not port.strip().isdigit():
        raise UserError(f"the policy pack did not start:\n{errors[-2000:]}")
    return seconds


def _measure_control(control: Control, stacks: Sequence[Stack]) -> Cost:
    """The mean over all stacks, with each control in a separate loop."""
    if control.over_stack:
        subjects = [stack.resources for stack in stacks]
        started = time.process_time()
        for resources in subjects:
            for _ in range(ROUNDS):
                control.evaluate_stack(resources)
        return _as_cost(control, len(subjects), time.process_time() - started)
    evaluated = [each for stack in stacks for each in stack.resources if control.applies_to(each.type)]
    started = time.process_time()
    for each in evaluated:
        for _ in range(ROUNDS):
            control.evaluate_resource(each.type, each.props)
    return _as_cost(control, len(evaluated), time.process_time() - started)


def _as_cost(control: Control, evaluations: int, seconds: float) -> Cost:
    return Cost(control, evaluations, seconds / ROUNDS / evaluations * 1e6 if evaluations else 0)


def format_report(stacks: Sequence[Stack], previews: Sequence[Previews], starts: Starts, costs: Sequence[Cost]) -> str:
    """The page, in Markdown."""
    single = [cost for cost in costs if not cost.control.over_stack]
    together = [cost for cost in costs if cost.control.over_stack]
    evaluations = sum(cost.evaluations for cost in single)
    total = sum(cost.evaluations * cost.microseconds for cost in single)
    count = sum(len(stack.resources) for stack in stacks)
    lines = [
        "# Benchmarks of the policy pack",
        "",
        f"{describe_measurement('make bench-policies')}.",
        "",
        "## Preview of a stack with its policies, against the same preview without",
        "",
        f"On the same engine and the same simulated provider, alternately, {PAIRS} rounds; medians. The ratio is the "
        "median of the rounds' ratios. The floor is the ratio of a pack without controls, on the same Python and with "
        "the same server: the time of the engine's protocol and of a Python process. The rest is the controls' time.",
        "",
        "| stack | resources | with policies | without a control | without a pack | ratio | floor | goal | met |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {item.stack} | {item.resources} | {_median(item.with_pack):.1f} s | {_median(item.with_empty):.1f} s "
            f"| {_median(item.without):.1f} s | {item.ratio:.2f} | {item.floor:.2f} | {RATIO_GOAL} "
            f"| {compare(item.ratio, RATIO_GOAL)} |"
            for item in previews
        ),
        "",
        "## The pack's start",
        "",
        f"From the start of its process to its port: {_describe_seconds(starts.pack)}. Without a control: "
        f"{_describe_seconds(starts.empty)}.",
        "",
        "## Controls",
        "",
        f"{len(costs)} controls on the {count} resources of {', '.join(stack.name for stack in stacks)}, in one "
        f"process, without the engine's protocol; processor time, means of {ROUNDS} rounds.",
        "",
        f"- {len(single)} controls over single resources: {evaluations} evaluations, on average "
        f"{total / evaluations:.0f} µs for a control and a resource, {total / len(stacks) / 1000:.0f} ms for a stack.",
        f"- {len(together)} controls over a stack: "
        f"{sum(cost.microseconds for cost in together) / 1000:.0f} ms for a stack, all together.",
        "",
        f"The {SLOWEST} controls that take most of the time for a stack:",
        "",
        "| control | evaluations | µs each | ms for a stack |",
        "|---|---|---|---|",
        *(
            f"| `{cost.control.id}` | {cost.evaluations} | {cost.microseconds:.0f} "
            f"| {_for_stack(cost, len(stacks)):.1f} |"
            for cost in sorted(costs, key=lambda cost: -_for_stack(cost, len(stacks)))[:SLOWEST]
        ),
        "",
    ]
    return "\n".join(lines)


def _for_stack(cost: Cost, stacks: int) -> float:
    """Milliseconds of a control for one stack, on average."""
    return cost.evaluations * cost.microseconds / stacks / 1000


def _compare_pairs(runs: Sequence[Measurement], others: Sequence[Measurement]) -> float:
    return statistics.median(one.seconds / other.seconds for one, other in zip(runs, others, strict=True))


def _describe_seconds(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} s (median of {len(values)}, {min(values):.2f} to {max(values):.2f} s)"


def _median(runs: Sequence[Measurement]) -> float:
    return statistics.median(run.seconds for run in runs)


if __name__ == "__main__":
    sys.exit(main())
