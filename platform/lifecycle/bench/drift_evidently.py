"""Evidently's preset for drift with its defaults, in its own environment: `drift_evidently.py FOLDER`, see drift.py."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

from drift_peer import measure


def finds_drift(reference: pd.DataFrame, window: pd.DataFrame) -> bool:
    """Whether any column drifted according to the threshold of its test."""
    snapshot = json.loads(Report([DataDriftPreset()]).run(window, reference).json())
    return int(snapshot["metrics"][0]["value"]["count"]) > 0


if __name__ == "__main__":
    measure(
        f"Evidently {version('evidently')}, DataDriftPreset, an alarm for any column", Path(sys.argv[1]), finds_drift
    )
