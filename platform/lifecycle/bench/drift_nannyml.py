"""NannyML's univariate drift with its defaults, in its own environment: `drift_nannyml.py FOLDER`, see drift.py."""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import pandas as pd


def finds_drift(reference: pd.DataFrame, window: pd.DataFrame) -> bool:
    """Whether any column alerts in a window that is one chunk; the reference has ten, as by default."""
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=list(reference.columns), treat_as_categorical=["predict"], chunk_number=10
    )
    calculator.fit(reference)
    calculator._chunker = nannyml.chunk.CountBasedChunker(1)
    results = calculator.calculate(window).filter(period="analysis").to_df()
    return bool(results.xs("alert", axis=1, level=-1).any(axis=None))


def main(folder: Path) -> None:
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
    title = f"NannyML {version('nannyml')}, UnivariateDriftCalculator, an alarm for any column"
    print(json.dumps({"title": title, "seconds": seconds, "false_alarms": counts["same"], "found": counts["shifted"]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
