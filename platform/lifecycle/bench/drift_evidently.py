"""Evidently's preset for drift with its defaults, in its own environment: `drift_evidently.py FOLDER`, see drift.py."""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset


def find_drifted(reference: pd.DataFrame, window: pd.DataFrame) -> tuple[list[str], bool]:
    """The columns that drifted by their own thresholds, and whether the data set did: half of its columns."""
    snapshot = json.loads(Report([DataDriftPreset()]).run(window, reference).json())
    count = snapshot["metrics"][0]["value"]
    return [""] * int(count["count"]), count["share"] >= 0.5


def main(folder: Path) -> None:
    reference, window = pd.read_parquet(folder / "reference.parquet"), pd.read_parquet(next(folder.glob("part-*")))
    window = window.rename(columns=lambda name: name.removeprefix("input_").removeprefix("output_"))
    started = time.perf_counter()
    find_drifted(reference, window[reference.columns])
    seconds = time.perf_counter() - started
    counts = {"same": 0, "shifted": 0}
    for file in sorted((folder / "windows").glob("*-reference.parquet")):
        for kind in counts:
            window = pd.read_parquet(file.with_name(file.name.replace("reference", kind)))
            counts[kind] += bool(find_drifted(pd.read_parquet(file), window)[0])
    title = f"Evidently {version('evidently')}, DataDriftPreset, an alarm for any column"
    print(json.dumps({"title": title, "seconds": seconds, "false_alarms": counts["same"], "found": counts["shifted"]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
