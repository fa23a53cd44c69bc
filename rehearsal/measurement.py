"""Measures time and memory of commands, for benchmarks that report them with their goals."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rehearsal.console import UserError
from rehearsal.toolchain import ROOT


@dataclass(frozen=True)
class Measurement:
    """Wall time of a command, and the peak memory of its largest process."""

    seconds: float
    peak_mib: float


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path = ROOT) -> Measurement:
    """Run a command to its end. Raises UserError with the end of its output if it fails."""
    with tempfile.TemporaryFile("w+") as output:
        started = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, env=dict(environment), stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            raise UserError(f"`{' '.join(command)}` failed:\n{output.read()[-2000:]}")
    # Linux counts in KiB, macOS in bytes.
    unit = 1024 if sys.platform == "linux" else 1024 * 1024
    return Measurement(seconds, usage.ru_maxrss / unit)


def compare(value: float, goal: float) -> str:
    """Whether a goal was met, in a report's words."""
    return "yes" if value <= goal else "no"


def describe_measurement(command: str) -> str:
    """The command, date and machine of a report's measurements."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    return (
        f"Measured by `{command}` on {datetime.now(UTC):%Y-%m-%d}: {machine}. Seconds are wall time. Memory is the "
        "peak of the largest process"
    )
