#!/usr/bin/env python3
"""Measures the analysis of drift: `python bench/drift.py [REPORT.md]`.

Speed: inferences in Parquet on this machine's disk, read and compared with the training reference, against pandas and
SciPy on the same files in the same process; the median of three runs of each, without imports. Error rates: simulated,
seeded windows. Evidently and NannyML run with their defaults in separate environments, on the same rows.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics as averages
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE.parent / "tests"), str(HERE)]
# One process per core simulates; threads of numeric libraries would compete. Read when those are imported below.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

from lifecycle.core import ModelVersion  # noqa: E402
from lifecycle.core.reference_profile import ReferenceProfile, profile_column, profile_table  # noqa: E402
from lifecycle.drift import layout, queries  # noqa: E402
from lifecycle.drift.analysis import analyse  # noqa: E402
from lifecycle.drift.comparison import Limits  # noqa: E402
from lifecycle.drift.engines import open_engine  # noqa: E402
from lifecycle.drift.report import Outcome  # noqa: E402
from lifecycle.drift.settings import DriftSettings  # noqa: E402
from lifecycle.drift.window import Window  # noqa: E402
from serving_peers import MissingPeerError, describe_failure, environment, info  # noqa: E402
from support.drift_simulation import COLUMNS, Simulation  # noqa: E402

DAY = datetime(2026, 11, 1, tzinfo=UTC)
WINDOW = Window(ModelVersion("bench", "1"), DAY, DAY + timedelta(days=1))
REFERENCE_ROWS = 100_000  # of the measurements of speed
SIMULATED_REFERENCE, SIMULATED_ROWS = 430, 1000  # of the error rates: the rows that the shipped data trains on
SHIFT_ROWS = (250, 375, 500, 750, 1000)
PEER_WINDOWS = 50  # one takes Evidently seconds
PEERS = ("evidently", "nannyml")
LIMITS = Limits(1e-4, 0.1, 0.02)  # the settings' defaults


@dataclass(frozen=True)
class Speed:
    """Median seconds of three runs, and the processor's seconds of ours."""

    title: str
    goal: float
    seconds: float
    processor: float
    pandas: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", nargs="?", type=Path, help="file to write the figures to")
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--windows", type=int, default=30_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        speeds = [
            measure_speed(Path(scratch, "events"), f"{options.events:,} events, 3 inputs", options.events, 3, 2, 3.0),
            measure_speed(Path(scratch, "rows"), f"{options.rows:,} rows, 30 inputs", options.rows, 30, 1, 5.0),
        ]
        peers = [measure_peer(peer, Path(scratch, "rows")) for peer in PEERS]
    alarms = count_false_alarms(options.windows)
    found = {rows: find_shifts(rows) for rows in SHIFT_ROWS}
    text = "\n".join(render(speeds, alarms, options.windows, found, peers)) + "\n"
    print(text)
    if options.report:
        options.report.write_text(text)
    return 0


def measure_speed(folder: Path, title: str, rows: int, inputs: int, cores: int, goal: float) -> Speed:
    info(f"writing {title}")
    reference_table, files = write_events(folder, rows, inputs)
    reference = ReferenceProfile(
        inputs=profile_table(reference_table.drop(columns="predict")),
        outputs={"predict": profile_column(reference_table["predict"])},
    )
    available = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(available)[:cores])
    try:
        started = time.process_time()
        ours = measure(lambda: run_analysis(files, reference, cores))
        processor = (time.process_time() - started) / 3
        theirs = measure(lambda: run_pandas(files, reference_table))
    finally:
        os.sched_setaffinity(0, available)
    return Speed(f"{title}, {cores} cores" if cores > 1 else f"{title}, 1 core", goal, ours, processor, theirs)


def write_events(folder: Path, rows: int, inputs: int) -> tuple[pd.DataFrame, list[Path]]:
    """Files of a million rows each, with request IDs and times as the log has; and a reference of the same kind."""
    folder.mkdir()
    generator = np.random.default_rng(21)

    def draw(size: int) -> pd.DataFrame:
        table = pd.DataFrame({f"x{number}": generator.normal(size=size) for number in range(inputs)})
        return table.assign(predict=generator.choice([0.0, 1.0], size, p=[0.7, 0.3]))

    reference, files = draw(REFERENCE_ROWS), []
    reference.to_parquet(folder / "reference.parquet")
    for number in range(0, rows, 1_000_000):
        size = min(1_000_000, rows - number)
        log = draw(size).rename(columns=lambda name: f"{layout.OUTPUT if name == 'predict' else layout.INPUT}{name}")
        log[layout.REQUEST_ID] = np.char.mod("r-%d", np.arange(number, number + size))
        log[layout.ROW] = np.zeros(size, np.int32)
        times = np.sort(generator.integers(0, 86_400_000_000, size)).astype("timedelta64[us]")
        log[layout.TIME] = (pd.Timestamp(DAY) + pd.to_timedelta(times)).astype("datetime64[us, UTC]")
        files.append(folder / f"part-{number:08}.parquet")
        pq.write_table(pa.Table.from_pandas(log, preserve_index=False), files[-1], compression="zstd")
    return reference, files


def measure(run: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return averages.median(times)


def run_analysis(files: Sequence[Path], reference: ReferenceProfile, cores: int) -> None:
    """All that a check does between the download and the report."""
    settings = DriftSettings.model_validate({"store": "unused"})
    with open_engine(threads=cores) as engine:
        table = engine.read([str(file) for file in files])
        engine.run(queries.describe_times(table))
        inferences = queries.select_window(table, WINDOW.start, WINDOW.end)
        report = analyse(engine, WINDOW, inferences, None, reference, settings)
    assert report.outcome == Outcome.NO_DRIFT  # noqa: S101 (an analysis that is wrong is not worth measuring)


def run_pandas(files: Sequence[Path], reference: pd.DataFrame) -> None:
    """The same statistics, computed as usual: KS, Wasserstein and PSI of each number, chi-square of the classes."""
    names = [f"{layout.OUTPUT if name == 'predict' else layout.INPUT}{name}" for name in reference.columns]
    table = pd.concat([pd.read_parquet(file, columns=[*names, layout.TIME]) for file in files])
    table = table[(table[layout.TIME] >= WINDOW.start) & (table[layout.TIME] < WINDOW.end)]
    for name, column in zip(reference.columns, names, strict=True):
        first, second = reference[name].to_numpy(), table[column].to_numpy()
        if name == "predict":
            counts = [np.bincount(values.astype(int), minlength=2) for values in (first, second)]
            stats.chi2_contingency(counts)
            continue
        stats.ks_2samp(first, second, method="asymp")
        stats.wasserstein_distance(first, second)
        edges = np.quantile(first, np.arange(1, 10) / 10)
        shares = [np.bincount(np.searchsorted(edges, values), minlength=10) / len(values) for values in (first, second)]
        np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0]))


def count_false_alarms(windows: int) -> int:
    """Alarms in windows without drift; a new reference for every hundred."""
    info(f"simulating {windows:,} windows")
    return count_alarms(range(1000, 1000 + windows // 100), 100, SIMULATED_ROWS, 0)


def find_shifts(rows: int) -> int:
    """In how many of 200 windows a shift of half a standard deviation in one of 31 columns is found."""
    return count_alarms(range(20), 10, rows, 0.5)


def count_alarms(seeds: Sequence[int], windows: int, rows: int, shift: float) -> int:
    """Alarms in so many windows for the reference of each seed; on all cores."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return sum(pool.map(partial(simulate, windows=windows, rows=rows, shift=shift), seeds))


def simulate(seed: int, windows: int, rows: int, shift: float) -> int:
    simulation = Simulation(seed, SIMULATED_REFERENCE)
    return sum(simulation.draws_alarm(LIMITS, rows, shift) for _ in range(windows))


def measure_peer(peer: str, folder: Path) -> str:
    """A row of the table: seconds for the second measurement's rows, and the errors on simulated windows."""
    windows = folder / "windows"
    if not windows.exists():
        windows.mkdir()
        for number in range(PEER_WINDOWS):
            simulation = Simulation(number, SIMULATED_REFERENCE)
            simulation.draw(SIMULATED_REFERENCE, 0).to_parquet(windows / f"{number}-reference.parquet")
            simulation.draw(SIMULATED_ROWS, 0).to_parquet(windows / f"{number}-same.parquet")
            simulation.draw(SIMULATED_ROWS, 0.5).to_parquet(windows / f"{number}-shifted.parquet")
    try:
        python = environment(peer)
    except MissingPeerError as error:
        return f"| {peer} | {error} | | |"
    info(f"measuring {peer}")
    core = str(min(os.sched_getaffinity(0)))
    command = ["taskset", "-c", core, str(python), str(HERE / f"drift_{peer}.py"), str(folder)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        return f"| {peer} | fails: {describe_failure(process.stderr)} | | |"
    result = json.loads(process.stdout.splitlines()[-1])
    rates = (f"{result[key]} of {PEER_WINDOWS}" for key in ("false_alarms", "found"))
    return f"| {result['title']} | {result['seconds']:.1f} | {' | '.join(rates)} |"


def render(
    speeds: Sequence[Speed], alarms: int, windows: int, found: dict[int, int], peers: Sequence[str]
) -> list[str]:
    cores, load = len(os.sched_getaffinity(0)), ", ".join(f"{value:.1f}" for value in os.getloadavg())
    upper = stats.beta.ppf(0.95, alarms + 1, windows - alarms)
    enough = next((rows for rows, number in found.items() if number >= 198), None)
    return [
        "## Drift",
        "",
        f"`bench/drift.py`, {time.strftime('%Y-%m-%d')}, {platform.machine()}, {cores} cores, Python "
        f"{platform.python_version()}, load average {load} at the end.",
        "",
        "| inferences | lifecycle.drift, s | its processor time, s | pandas and SciPy, s | ratio | goal |",
        "|---|---|---|---|---|---|",
        *(
            f"| {speed.title} | {speed.seconds:.2f} | {speed.processor:.2f} | {speed.pandas:.2f} | "
            f"{speed.pandas / speed.seconds:.1f} | {speed.goal:g} s: {_compare(speed.seconds <= speed.goal)} |"
            for speed in speeds
        ),
        "",
        f"From Parquet on disk to the outcome, without imports; a prediction beside the inputs; a reference of "
        f"{REFERENCE_ROWS:,} rows. pandas and SciPy: `read_parquet`, `ks_2samp`, `wasserstein_distance`, PSI by "
        "`searchsorted`, `chi2_contingency`, on the same cores.",
        "",
        f"False alarms: {alarms} in {windows:,} simulated windows of {SIMULATED_ROWS:,} rows and {COLUMNS} columns, "
        f"each hundred with a new reference of {SIMULATED_REFERENCE} rows; at most {upper:.1e} with 95% confidence. "
        f"Goal, 1 in 10,000: {_compare(alarms <= windows / 10_000)}.",
        "",
        "A shift of half a standard deviation in one column, with all defaults, is found in "
        + ", ".join(f"{number} of 200 windows of {rows:,} rows" for rows, number in found.items())
        + (f". So {enough:,} rows are enough for 99%." if enough else "."),
        "",
        "Peers with their defaults, on one core: seconds for the rows of the second line above; alarms in windows of "
        f"{SIMULATED_ROWS:,} rows without drift, and in windows with that shift in one column.",
        "",
        "| peer | seconds | false alarms | shifts found |",
        "|---|---|---|---|",
        *peers,
    ]


def _compare(is_met: bool) -> str:
    return "met" if is_met else "missed"


if __name__ == "__main__":
    sys.exit(main())
