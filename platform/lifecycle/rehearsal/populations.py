"""The measurements of a model's users: the rows of the data set, as seen by cameras of different resolutions.

Lengths and areas in the data set are in pixels, so they are larger with a camera that has more pixels. A model that was
trained on the images of one camera is wrong about many images of another one. `python populations.py NAME FILE` writes
the rows with their outcomes as CSV, the format in which people upload new data to the artifact store.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from lifecycle.training import data

# Resolutions of the cameras, relative to that of the data set.
POPULATIONS: Mapping[str, Sequence[float]] = {"first-camera": (1.0,), "two-cameras": (1.0, 1.5), "new-camera": (0.6,)}

_LENGTHS = [name for name in data.FEATURES if "radius" in name or "perimeter" in name]
_AREAS = [name for name in data.FEATURES if "area" in name]


def load(population: str) -> pd.DataFrame:
    """The rows with their outcomes: all of the data set, once for each camera."""
    shipped = data.load_shipped()
    return pd.concat([_scale(shipped, resolution) for resolution in POPULATIONS[population]], ignore_index=True)


def _scale(table: pd.DataFrame, resolution: float) -> pd.DataFrame:
    scaled = table.copy()
    scaled[_LENGTHS] *= resolution
    scaled[_AREAS] *= resolution**2
    return scaled


if __name__ == "__main__":
    path = Path(sys.argv[2])
    path.parent.mkdir(parents=True, exist_ok=True)
    load(sys.argv[1]).to_csv(path, index=False)
