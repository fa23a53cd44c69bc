"""`make bench`: measures time and memory, and writes docs/benchmarks.md with machine, date and goals.

Seconds depend on the machine. What carries over to others is the ratio of a stack's preview to the preview of a bare
program with as many resources, measured alternately in one run.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kernel.engine_events import read_events
from rehearsal.console import UserError, info
from rehearsal.engine import pulumi_cli
from rehearsal.kubernetes.control_plane import programs
from rehearsal.kubernetes.control_plane.control_plane import run_control_plane
from rehearsal.measurement import Measurement, compare, describe_measurement, run
from rehearsal.session import Rehearsal
from rehearsal.toolchain import CACHE, ROOT

REPORT = ROOT / "docs" / "benchmarks.md"
PAIRS = 5
STACKS = ("azure-dev", "aws-dev")
RATIO_GOAL = 1.3

# Seconds, on two cores.
WARM_GOAL = 90
WARM_LIMIT = 120

_BARE_PROGRAM = """\
import pulumi_azure_native as azure
from pulumi_azure_native.resources import ResourceGroup

for number in range({count}):
    ResourceGroup(f"group-{{number}}", resource_group_name=f"group-{{number}}", location="westeurope")
"""


@dataclass(frozen=True)
class Warm:
    """`make rehearse` with everything built; the control plane's memory is the peak of the sum of its processes."""

    stack: str
    run: Measurement
    control_plane_mib: float


def main() -> int:
    try:
        previews = [_previews(stack) for stack in STACKS]
        starts = _starts()
        warm = [_rehearse(stack) for stack in STACKS]
    except UserError as error:
        info(f"error: {error}")
        return 1
    REPORT.write_text(_report(previews, starts, warm))
    info(f"Written to {REPORT.relative_to(ROOT)}.")
    return 0


def _starts() -> list[float]:
    """Seconds until an empty control plane reports that it is ready."""
    if reason := programs.prepare():
        raise UserError(reason)
    seconds = []
    for number in range(PAIRS):
        info(f"  start of the control plane, {number + 1} of {PAIRS}")
        with tempfile.TemporaryDirectory(dir=CACHE) as name:
            started = time.monotonic()
            with run_control_plane(Path(name), Path(name) / "unused.sock"):
                seconds.append(time.monotonic() - started)
    return seconds


@dataclass(frozen=True)
class Previews:
    """Alternating previews of a stack with its policies and of a bare program with as many resources."""

    stack: str
    resources: int
    stack_runs: Sequence[Measurement]
    bare_runs: Sequence[Measurement]

    @property
    def ratio(self) -> float:
        return statistics.median(a.seconds / b.seconds for a, b in zip(self.stack_runs, self.bare_runs, strict=True))


def _previews(stack: str) -> Previews:
    rehearsal = Rehearsal(stack)
    rehearsal.remove()
    engine = str(pulumi_cli.engine())
    with rehearsal.running() as running, tempfile.TemporaryDirectory(dir=CACHE) as folder:
        events = rehearsal.folder / "bench-events.jsonl"
        pack = rehearsal.project.require("policy_pack")
        command = [engine, "--cwd", str(rehearsal.workspace.folder), "preview", "--policy-pack", str(pack)]
        environment = running.environment
        run([*command, "--event-log", str(events)], environment)  # fills caches, and counts resources
        count = sum("resourcePreEvent" in event for event in read_events(events))
        bare = _bare_program(Path(folder), engine, count, environment)
        pairs = []
        for number in range(PAIRS):
            info(f"  {stack}: preview of {count} resources, pair {number + 1} of {PAIRS}")
            pairs.append((run(command, environment), run(bare, environment)))
    rehearsal.remove()
    return Previews(stack, count, [a for a, _ in pairs], [b for _, b in pairs])


def _bare_program(folder: Path, engine: str, count: int, environment: Mapping[str, str]) -> list[str]:
    """Write a program that declares `count` resources and nothing else; returns the command that previews it."""
    (folder / "Pulumi.yaml").write_text("name: bare\nruntime: python\n")
    (folder / "__main__.py").write_text(_BARE_PROGRAM.format(count=count))
    run([engine, "--cwd", str(folder), "stack", "select", "--create", "bare"], environment)
    command = [engine, "--cwd", str(folder), "preview"]
    run(command, environment)
    return command


def _rehearse(stack: str) -> Warm:
    info(f"  make rehearse STACK={stack}")
    subprocess.run(["make", "--silent", "rehearse-reset", f"STACK={stack}"], cwd=ROOT, check=True)
    with _memory(Rehearsal(stack).folder / "cluster") as peak:
        # Strict: a rehearsal without charts does half of the work, and would be measured as a complete one.
        rehearsal = run(["make", "--silent", "rehearse", f"STACK={stack}", "STRICT=1"], os.environ)
    return Warm(stack, rehearsal, max(peak))


@contextmanager
def _memory(folder: Path) -> Iterator[list[float]]:
    """Sample, twice a second, the total MiB of all processes whose command lines name `folder`."""
    samples, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            samples.append(sum(_resident_mib(process, folder) for process in Path("/proc").glob("[0-9]*")))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def _resident_mib(process: Path, folder: Path) -> float:
    try:
        if f"={folder}/" not in (process / "cmdline").read_text():
            return 0
        found = re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())
    except OSError:  # the process has ended in the meantime
        return 0
    return int(found[1]) / 1024 if found else 0


def _report(previews: Sequence[Previews], starts: Sequence[float], warm: Sequence[Warm]) -> str:
    lines = [
        "# Benchmarks",
        "",
        f"{describe_measurement('make bench')}; for the control plane it is the peak of all its processes together.",
        "",
        "## Preview of a stack with its policies, against a bare program with as many resources",
        "",
        f"Both on the same engine and the same simulated provider, alternately, {PAIRS} pairs; medians. The ratio is "
        "the median of the pairs' ratios.",
        "",
        "| stack | resources | stack with policies | bare program | ratio | goal | met |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {item.stack} | {item.resources} | {_median(item.stack_runs):.1f} s | {_median(item.bare_runs):.1f} s "
            f"| {item.ratio:.2f} | {RATIO_GOAL} | {compare(item.ratio, RATIO_GOAL)} |"
            for item in previews
        ),
        "",
        "## The control plane",
        "",
        f"From nothing to ready: {statistics.median(starts):.1f} s (median of {len(starts)}, "
        f"{min(starts):.1f} to {max(starts):.1f} s).",
        "",
        "## `make rehearse`, everything built",
        "",
        "Charts and pods included.",
        "",
        "| stack | time | goal | met | at most | met | peak memory | memory of the control plane |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {item.stack} | {item.run.seconds:.0f} s | {WARM_GOAL} s | {compare(item.run.seconds, WARM_GOAL)} "
            f"| {WARM_LIMIT} s | {compare(item.run.seconds, WARM_LIMIT)} "
            f"| {item.run.peak_mib:.0f} MiB | {item.control_plane_mib:.0f} MiB |"
            for item in warm
        ),
        "",
    ]
    return "\n".join(lines)


def _median(runs: Sequence[Measurement]) -> float:
    return statistics.median(run.seconds for run in runs)


if __name__ == "__main__":
    sys.exit(main())
