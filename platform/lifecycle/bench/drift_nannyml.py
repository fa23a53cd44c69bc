"""NannyML's univariate drift with its defaults, in its own environment: `drift_nannyml.py FOLDER`, see drift.py."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import pandas as pd

from drift_peer import measure


def finds_drift(reference: pd.DataFrame, window: pd.DataFrame) -> bool:
    """Whether any column alerts in a window that is one chunk; the reference has ten, as by default."""
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=list(reference.columns), treat_as_categorical=["predict"], chunk_number=10
    )
    calculator.fit(reference)
    calculator.chunker = nannyml.chunk.CountBasedChunker(1)
    results = calculator.calculate(window).filter(period="analysis").to_df()
    return bool(results.xs("alert", axis=1, level=-1).any(axis=None))


if __name__ == "__main__":
    measure(
        f"NannyML {version('nannyml')}, UnivariateDriftCalculator, an alarm for any column",
        Path(sys.argv[1]),
        finds_drift,
    )
