"""Runs benchmarks of this package and writes their report: `python -m bench lifecycle|experiments REPORT.md`.

If a benchmark fails, the report has the part that it has written, if any, and the exit code is 1.
"""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_TITLES = {"lifecycle": "Benchmarks of the model lifecycle", "experiments": "Benchmarks of experiments and drift"}
_BENCHMARKS = {"lifecycle": ("serving.py", "promotion.py"), "experiments": ("experiment_router.py", "drift.py")}


def main(subject: str, report: Path) -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    parts = [
        f"# {_TITLES[subject]}\n\nWritten by `make bench-{subject.removesuffix('s')}`; every comparison is between "
        f"processes of one run on one machine. {today}, {machine}.\n"
    ]
    failed = []
    with tempfile.TemporaryDirectory() as scratch:
        for benchmark in _BENCHMARKS[subject]:
            part = Path(scratch) / f"{benchmark}.md"
            if subprocess.run([sys.executable, str(_HERE / benchmark), str(part)], check=False).returncode:
                failed.append(benchmark)  # the others take minutes, and are worth having
            if part.exists():
                parts.append(part.read_text())
    report.write_text("\n".join(parts))
    print(f"Written to {report}.")
    if failed:
        sys.exit(f"error: {', '.join(failed)} failed; the output above says why")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
