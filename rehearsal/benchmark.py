"""`make bench`: how long things take and how much memory, written to docs/benchmarks.md with machine and date.

Seconds depend on the machine. What carries over is the ratio of a stack's preview to that of a bare program of as many
resources, measured in turn in one run.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rehearsal.console import UserError, info
from rehearsal.engine import pulumi_cli
from rehearsal.kubernetes.control_plane import programs
from rehearsal.kubernetes.control_plane.control_plane import run_control_plane
from rehearsal.session import POLICIES, Rehearsal
from rehearsal.summary import read_events
from rehearsal.toolchain import CACHE, ROOT

REPORT = ROOT / "docs" / "benchmarks.md"
PAIRS = 5
STACKS = ("azure-dev", "aws-dev")
GOAL = 1.3
WARM_GOAL = 90  # seconds, on two cores

_FLOOR = """\
import pulumi_azure_native as azure
from pulumi_azure_native.resources import ResourceGroup

for number in range({count}):
    ResourceGroup(f"group-{{number}}", resource_group_name=f"group-{{number}}", location="westeurope")
"""


# What is built where nothing is installed, by the names that the report gives it.
_BUILDS = {
    "Python environment": "",
    "engine": "from rehearsal.engine import bootstrap; bootstrap.engine()",
    "Helm": "from rehearsal import helm; helm.ready()",
    "control plane": "from rehearsal.kubernetes.control_plane import programs; programs.prepare()",
    "controllers of the charts": (
        "from rehearsal.helm import charts; from rehearsal.kubernetes.controllers import manager; "
        "manager.programs(charts.pinned_charts())"
    ),
}


@dataclass(frozen=True)
class Measured:
    seconds: float
    peak_mib: float  # of the largest process


@dataclass(frozen=True)
class Warm:
    """`make rehearse` with everything built; the control plane's memory is the peak of all its processes together."""

    stack: str
    run: Measured
    control_plane_mib: float


def main() -> int:
    try:
        previews = [_previews(stack) for stack in STACKS]
        starts = _starts()
        warm = [_rehearse(stack) for stack in STACKS]
        cold = _cold(STACKS[0])
    except UserError as error:
        info(f"error: {error}")
        return 1
    REPORT.write_text(_report(previews, starts, warm, cold))
    info(f"Written to {REPORT.relative_to(ROOT)}.")
    return 0


def _starts() -> list[float]:
    """Seconds until an empty control plane answers that it is ready."""
    if reason := programs.prepare():
        raise UserError(reason)
    seconds = []
    for number in range(PAIRS):
        info(f"  start of the control plane, {number + 1} of {PAIRS}")
        with tempfile.TemporaryDirectory(dir=CACHE) as name:
            started = time.monotonic()
            with run_control_plane(Path(name), Path(name) / "nobody.sock"):
                seconds.append(time.monotonic() - started)
    return seconds


@dataclass(frozen=True)
class Previews:
    """Previews of a stack with its policies, and of a bare program of as many resources, in turn."""

    stack: str
    resources: int
    ours: Sequence[Measured]
    floor: Sequence[Measured]

    @property
    def ratio(self) -> float:
        return statistics.median(a.seconds / b.seconds for a, b in zip(self.ours, self.floor, strict=True))


def _previews(stack: str) -> Previews:
    rehearsal = Rehearsal(stack)
    rehearsal.remove()
    engine = str(pulumi_cli.engine())
    with rehearsal.running() as running, tempfile.TemporaryDirectory(dir=CACHE) as folder:
        events = rehearsal.folder / "bench-events.jsonl"
        settings = ["--config-file", str(rehearsal.settings_file)]
        ours = [engine, "preview", "--policy-pack", str(POLICIES), *settings]
        environment = running.environment
        _run([*ours, "--event-log", str(events)], environment)  # warms up, and counts
        count = sum("resourcePreEvent" in event for event in read_events(events))
        floor = _floor(Path(folder), engine, count, environment)
        pairs = []
        for number in range(PAIRS):
            info(f"  {stack}: preview of {count} resources, pair {number + 1} of {PAIRS}")
            pairs.append((_run(ours, environment), _run(floor, environment)))
    rehearsal.remove()
    return Previews(stack, count, [a for a, _ in pairs], [b for _, b in pairs])


def _floor(folder: Path, engine: str, count: int, environment: Mapping[str, str]) -> list[str]:
    """A program that declares `count` resources and nothing else; gives the command of its preview."""
    (folder / "Pulumi.yaml").write_text("name: floor\nruntime: python\n")
    (folder / "__main__.py").write_text(_FLOOR.format(count=count))
    _run([engine, "--cwd", str(folder), "stack", "select", "--create", environment["PULUMI_STACK"]], environment)
    command = [engine, "--cwd", str(folder), "preview"]
    _run(command, environment)
    return command


def _rehearse(stack: str) -> Warm:
    info(f"  make rehearse STACK={stack}")
    subprocess.run(["make", "--silent", "rehearse-reset", f"STACK={stack}"], cwd=ROOT, check=True)
    with _memory(Rehearsal(stack).folder / "cluster") as peak:
        run = _run(["make", "--silent", "rehearse", f"STACK={stack}"], os.environ)
    return Warm(stack, run, max(peak))


@contextmanager
def _memory(folder: Path) -> Iterator[list[float]]:
    """MiB that the processes whose command lines name `folder` hold together, twice a second."""
    samples, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            samples.append(sum(_held(process, folder) for process in Path("/proc").glob("[0-9]*")))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def _held(process: Path, folder: Path) -> float:
    try:
        if f"={folder}/" not in (process / "cmdline").read_text():
            return 0
        found = re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())
    except OSError:  # it has ended meanwhile
        return 0
    return int(found[1]) / 1024 if found else 0


def _cold(stack: str) -> dict[str, Measured]:
    """What a fresh clone with empty caches builds, one after the other, and then its first `make rehearse`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clone = folder / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        caches = {
            variable: str(folder / variable.lower())
            for variable in ("GOCACHE", "GOMODCACHE", "UV_CACHE_DIR", "PIP_CACHE_DIR")
        }
        environment = {**os.environ, **caches}
        info(f"  make rehearse STACK={stack} in a fresh clone with empty caches (many minutes)")
        try:
            found = {}
            for title, script in _BUILDS.items():
                command = [".venv/bin/python", "-c", script] if script else ["make", "setup"]
                found[title] = _run(command, environment, clone)
            return {
                **found,
                f"first rehearsal of {stack}": _run(["make", "rehearse", f"STACK={stack}"], environment, clone),
            }
        finally:
            subprocess.run(["go", "clean", "-modcache"], env=environment, check=False)
            shutil.rmtree(clone, ignore_errors=True)


def _run(command: Sequence[str], environment: Mapping[str, str], folder: Path = ROOT) -> Measured:
    """Run to the end. Raises UserError, with what it said, when it fails."""
    with tempfile.TemporaryFile("w+") as said:
        started = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, env=dict(environment), stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            raise UserError(f"`{' '.join(command)}` failed:\n{said.read()[-2000:]}")
    # Linux counts in KiB, macOS in bytes.
    unit = 1024 if sys.platform == "linux" else 1024 * 1024
    return Measured(seconds, usage.ru_maxrss / unit)


def _report(
    previews: Sequence[Previews], starts: Sequence[float], warm: Sequence[Warm], cold: Mapping[str, Measured]
) -> str:
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    total = sum(run.seconds for run in cold.values())
    lines = [
        "# Benchmarks",
        "",
        f"Measured by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {machine}. Seconds are wall time, memory is the "
        "peak of the largest process, of the control plane that of all its processes together.",
        "",
        "## Preview of a stack with its policies, against a bare program of as many resources",
        "",
        f"Both on the same engine and the same simulated provider, in turn, {PAIRS} pairs; medians. The ratio is the "
        f"median of the pairs' ratios; the goal is {GOAL}.",
        "",
        "| stack | resources | stack with policies | bare program | ratio |",
        "|---|---|---|---|---|",
        *(
            f"| {item.stack} | {item.resources} | {_median(item.ours):.1f} s | {_median(item.floor):.1f} s "
            f"| {item.ratio:.2f} |"
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
        f"Charts and pods included; the goal is {WARM_GOAL} s.",
        "",
        "| stack | time | peak memory | memory of the control plane |",
        "|---|---|---|---|",
        *(
            f"| {item.stack} | {item.run.seconds:.0f} s | {item.run.peak_mib:.0f} MiB "
            f"| {item.control_plane_mib:.0f} MiB |"
            for item in warm
        ),
        "",
        "## The first time: fresh clone, empty caches",
        "",
        "| step | time | peak memory |",
        "|---|---|---|",
        *(f"| {step} | {run.seconds:.0f} s | {run.peak_mib:.0f} MiB |" for step, run in cold.items()),
        f"| all | {total:.0f} s | |",
        "",
    ]
    return "\n".join(lines)


def _median(runs: Sequence[Measured]) -> float:
    return statistics.median(run.seconds for run in runs)


if __name__ == "__main__":
    sys.exit(main())
