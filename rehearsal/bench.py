"""`make bench`: how long things take and how much memory, written to docs/benchmarks.md with machine and date.

Seconds depend on the machine. What carries over is the ratio of a stack's preview to that of a bare program of as many
resources, measured in turn in one run.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rehearsal.console import UserError, say
from rehearsal.engine import bootstrap
from rehearsal.session import POLICIES, Rehearsal
from rehearsal.summary import read_events
from rehearsal.tools import CACHE, ROOT

REPORT = ROOT / "docs" / "benchmarks.md"
PAIRS = 5
STACKS = ("azure-dev", "aws-dev")
GOAL = 1.3

_FLOOR = """\
import pulumi_azure_native as azure
from pulumi_azure_native.resources import ResourceGroup

for number in range({count}):
    ResourceGroup(f"group-{{number}}", resource_group_name=f"group-{{number}}", location="westeurope")
"""


@dataclass(frozen=True)
class Measured:
    seconds: float
    peak_mib: float  # of the largest process


def main() -> int:
    try:
        previews = [_previews(stack) for stack in STACKS]
        warm = [(stack, _rehearse(ROOT, stack, os.environ)) for stack in STACKS]
        cold = _cold(STACKS[0])
    except UserError as error:
        say(f"error: {error}")
        return 1
    REPORT.write_text(_report(previews, warm, (STACKS[0], cold)))
    say(f"Written to {REPORT.relative_to(ROOT)}.")
    return 0


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
    engine = str(bootstrap.engine())
    with rehearsal.running() as environment, tempfile.TemporaryDirectory(dir=CACHE) as folder:
        events = rehearsal.folder / "bench-events.jsonl"
        settings = ["--config-file", str(rehearsal.settings_file)]
        ours = [engine, "preview", "--policy-pack", str(POLICIES), *settings]
        _run([*ours, "--event-log", str(events)], environment)  # warms up, and counts
        count = sum("resourcePreEvent" in event for event in read_events(events))
        floor = _floor(Path(folder), engine, count, environment)
        pairs = []
        for number in range(PAIRS):
            say(f"  {stack}: preview of {count} resources, pair {number + 1} of {PAIRS}")
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


def _rehearse(folder: Path, stack: str, environment: Mapping[str, str]) -> Measured:
    say(f"  make rehearse STACK={stack} in {folder}")
    subprocess.run(
        ["make", "--silent", "rehearse-reset", f"STACK={stack}"], cwd=folder, env=dict(environment), check=True
    )
    return _run(["make", "--silent", "rehearse", f"STACK={stack}"], environment, folder)


def _cold(stack: str) -> Measured:
    """`make rehearse` in a fresh clone with empty caches: environment, engine and all."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clone = folder / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        caches = {
            variable: str(folder / variable.lower())
            for variable in ("GOCACHE", "GOMODCACHE", "UV_CACHE_DIR", "PIP_CACHE_DIR")
        }
        say(f"  make rehearse STACK={stack} in a fresh clone with empty caches (several minutes)")
        try:
            return _run(["make", "rehearse", f"STACK={stack}"], {**os.environ, **caches}, clone)
        finally:
            subprocess.run(["go", "clean", "-modcache"], env={**os.environ, **caches}, check=False)
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


def _report(previews: Sequence[Previews], warm: Sequence[tuple[str, Measured]], cold: tuple[str, Measured]) -> str:
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    lines = [
        "# Benchmarks",
        "",
        f"Measured by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {machine}. Seconds are wall time, memory is the "
        "peak of the largest process.",
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
        "## `make rehearse`",
        "",
        "| stack | state of the machine | time | peak memory |",
        "|---|---|---|---|",
        *(f"| {stack} | warm | {run.seconds:.0f} s | {run.peak_mib:.0f} MiB |" for stack, run in warm),
        f"| {cold[0]} | cold: fresh clone, empty caches | {cold[1].seconds:.0f} s | {cold[1].peak_mib:.0f} MiB |",
        "",
    ]
    return "\n".join(lines)


def _median(runs: Sequence[Measured]) -> float:
    return statistics.median(run.seconds for run in runs)


if __name__ == "__main__":
    sys.exit(main())
