"""`make bench-first`: measures the first rehearsal of a fresh clone with empty caches; writes docs/benchmarks-first.md.

It builds every program from source, which takes many minutes on two cores; `make bench` measures later rehearsals.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rehearsal.console import UserError, info
from rehearsal.measurement import Measurement, compare, describe_measurement, run
from rehearsal.toolchain import ROOT

REPORT = ROOT / "docs" / "benchmarks-first.md"
STACK = "azure-dev"

# Seconds, on two cores.
PREVIEW_GOAL = 240
GOAL = 480


@dataclass(frozen=True)
class FirstRehearsal:
    """The first `make rehearse` of a fresh clone: setup of Python, seconds until its preview ended, and the whole."""

    stack: str
    setup: Measurement
    preview_seconds: float
    run: Measurement


def main() -> int:
    try:
        measured = _measure(STACK)
    except UserError as error:
        info(f"error: {error}")
        return 1
    REPORT.write_text(_report(measured))
    info(f"Written to {REPORT.relative_to(ROOT)}.")
    return 0


def _measure(stack: str) -> FirstRehearsal:
    """`make rehearse` in a fresh clone with empty caches."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clone = folder / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        caches = {
            variable: str(folder / variable.lower())
            for variable in ("GOCACHE", "GOMODCACHE", "UV_CACHE_DIR", "PIP_CACHE_DIR", "XDG_CACHE_HOME")
        }
        environment = {**os.environ, **caches}
        info(f"  make rehearse STACK={stack} in a fresh clone with empty caches (many minutes)")
        started = time.time()
        try:
            setup = run(["make", "setup"], environment, clone)
            rehearsal = run(["make", "rehearse", f"STACK={stack}", "STRICT=1"], environment, clone)
            events = clone / ".groundwork" / "rehearsals" / stack / "preview-events.jsonl"
            return FirstRehearsal(stack, setup, events.stat().st_mtime - started, rehearsal)
        finally:
            subprocess.run(["go", "clean", "-modcache"], env=environment, check=False)
            shutil.rmtree(clone, ignore_errors=True)


def _report(first: FirstRehearsal) -> str:
    total = first.setup.seconds + first.run.seconds
    lines = [
        "# The first rehearsal",
        "",
        f"{describe_measurement('make bench-first')}.",
        "",
        f"`make rehearse STACK={first.stack} STRICT=1` in a fresh clone with empty caches: all programs are built.",
        "",
        "| until | time | goal | met | peak memory |",
        "|---|---|---|---|---|",
        f"| the Python environment is set up | {first.setup.seconds:.0f} s | | | {first.setup.peak_mib:.0f} MiB |",
        f"| the preview's result | {first.preview_seconds:.0f} s | {PREVIEW_GOAL} s "
        f"| {compare(first.preview_seconds, PREVIEW_GOAL)} | |",
        f"| the end | {total:.0f} s | {GOAL} s | {compare(total, GOAL)} | {first.run.peak_mib:.0f} MiB |",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
