"""Code that the peers of drift.py share: each measures itself in its own environment with pandas, and prints JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd


def measure(title: str, folder: Path, finds_drift: Callable[[pd.DataFrame, pd.DataFrame], bool]) -> None:
    """Prints the seconds for the folder's reference and window, and in how many simulated windows drift is found."""
    reference, window = pd.read_parquet(folder / "reference.parquet"), pd.read_parquet(next(folder.glob("part-*")))
    window = window.rename(columns=lambda name: name.removeprefix("input_").removeprefix("output_"))
    started = time.perf_counter()
    finds_drift(reference, window[reference.columns])
    seconds = time.perf_counter() - started
    counts = {"same": 0, "shifted": 0}
    for file in sorted((folder / "windows").glob("*-reference.parquet")):
        for kind in counts:
            window = pd.read_parquet(file.with_name(file.name.replace("reference", kind)))
            counts[kind] += finds_drift(pd.read_parquet(file), window)
    print(json.dumps({"title": title, "seconds": seconds, "false_alarms": counts["same"], "found": counts["shifted"]}))
