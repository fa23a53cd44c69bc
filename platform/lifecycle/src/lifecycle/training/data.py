"""The data: a public table that scikit-learn ships, its schema, and its split into training and held-out rows.

Breast Cancer Wisconsin (Diagnostic), 569 rows of 30 measurements of cell nuclei, CC BY 4.0:
https://archive.ics.uci.edu/dataset/17/breast+cancer+wisconsin+diagnostic
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lifecycle.core import LifecycleError
from lifecycle.gate import TARGET

MIN_ROWS = 200  # with fewer, a held-out slice is so small that one error exceeds the gate's margin
HELD_OUT_SHARE = 0.25  # of rows that no model is trained on

_STATISTICS = ("mean", "error", "worst")
# Upper bounds of the measurements, in pixels and square pixels of the image; shapes have no unit. All are well above
# the largest values in the published table (28.11 radius, 4254 area, 1.25 concavity).
_BOUNDS = {
    "radius": 100.0,
    "texture": 100.0,
    "perimeter": 1_000.0,
    "area": 10_000.0,
    "smoothness": 5.0,
    "compactness": 5.0,
    "concavity": 5.0,
    "concave_points": 5.0,
    "symmetry": 5.0,
    "fractal_dimension": 5.0,
}


def _column_name(measure: str, statistic: str) -> str:
    return f"{measure}_error" if statistic == "error" else f"{statistic}_{measure}"


BOUNDS: Mapping[str, float] = {
    _column_name(measure, statistic): bound for statistic in _STATISTICS for measure, bound in _BOUNDS.items()
}
FEATURES: list[str] = list(BOUNDS)


@dataclass(frozen=True)
class Slice:
    """A division of the rows at a boundary of a feature; the gate compares scores on each side."""

    column: str
    feature: str
    boundary: float
    below: str
    above: str

    def label(self, table: pd.DataFrame) -> pd.Series[str]:
        return (table[self.feature] >= self.boundary).map({False: self.below, True: self.above})


# The boundaries are the medians of the published table.
SLICES = (
    Slice("texture", "mean_texture", 18.84, "fine", "coarse"),
    Slice("outline", "mean_fractal_dimension", 0.06154, "smooth", "ragged"),
)


def load_shipped() -> pd.DataFrame:
    """The table that scikit-learn ships: 569 rows, the 30 features as floats, `target` as 0 or 1 (malignant)."""
    from sklearn.datasets import load_breast_cancer

    frame = load_breast_cancer(as_frame=True).frame
    frame.columns = [name.replace(" ", "_") for name in frame.columns]
    frame[TARGET] = 1 - frame[TARGET]  # scikit-learn's 0 is malignant
    return frame[[*FEATURES, TARGET]]


def read(path: Path) -> pd.DataFrame:
    """Read a CSV file with a header. Raises LifecycleError if it is missing or malformed."""
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise LifecycleError(
            f"The data file {path} does not exist. Set TRAINING_SOURCE to a CSV file, `shipped`, `dvc:<hash>` or "
            "`remote:<path>`."
        ) from None
    except (ValueError, OSError) as error:
        raise LifecycleError(f"The data in {path} cannot be read as CSV: {error}. Correct the file.") from None


def validate(table: pd.DataFrame) -> pd.DataFrame:
    """Check the table against the schema; returns it.

    Raises LifecycleError, which lists each broken rule with its column, and the first value that breaks it.
    """
    from pandera.errors import SchemaErrors

    try:
        return _schema().validate(table, lazy=True)
    except SchemaErrors as errors:
        problems = _describe_problems(errors.failure_cases)
        rules = "1 rule" if len(problems) == 1 else f"{len(problems)} rules"
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise LifecycleError(
            f"The data breaks {rules} of its schema:\n{listed}\nCorrect the data, or the schema."
        ) from None


def split(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to train on, and held-out rows, which have a column per slice.

    A row is assigned by its content, so it stays held out when rows are added or reordered, and no champion was trained
    on rows with which a challenger is evaluated.
    """
    position = pd.util.hash_pandas_object(table[FEATURES], index=False) / 2.0**64
    held_out = table[position < HELD_OUT_SHARE].reset_index(drop=True)
    for each in SLICES:
        held_out[each.column] = each.label(held_out)
    return table[position >= HELD_OUT_SHARE].reset_index(drop=True), held_out


def _schema() -> Any:
    """Imports pandera only here, because the import takes a second."""
    import pandera.pandas as pa

    features = {name: pa.Column(float, pa.Check.in_range(0.0, bound)) for name, bound in BOUNDS.items()}
    rules = [
        pa.Check(
            lambda table: len(table) >= MIN_ROWS, name=f"at least {MIN_ROWS} rows", error=f"at least {MIN_ROWS} rows"
        ),
        pa.Check(
            lambda table: TARGET not in table or table[TARGET].nunique() > 1,
            name="both classes",
            error="both classes, 0 and 1, in column target",
        ),
    ]
    return pa.DataFrameSchema({**features, TARGET: pa.Column(int, pa.Check.isin([0, 1]))}, checks=rules, strict=True)


def _describe_problems(cases: pd.DataFrame) -> list[str]:
    cases = cases.astype(object).where(cases.notna(), None)
    # A column with the wrong type also breaks the rules for its values; only its type is reported.
    cases = cases[~cases["failure_case"].astype(str).str.startswith("TypeError(")]
    grouped = cases.groupby(["schema_context", "column", "check"], dropna=False, sort=False)
    return [_describe_problem(str(context), column, str(check), group) for (context, column, check), group in grouped]


def _describe_problem(context: str, column: object, check: str, group: pd.DataFrame) -> str:
    first = group.iloc[0]
    if check == "column_in_dataframe":
        return f"column {first['failure_case']} is missing"
    if check == "column_in_schema":
        return f"column {first['failure_case']} is not in the schema"
    if context == "DataFrameSchema":
        return f"there must be {check}"
    where = "" if first["index"] is None else f" in row {first['index']}"
    more = f", and {len(group) - 1} more" if len(group) > 1 else ""
    return f"column {column}: {first['failure_case']!r}{where} breaks the rule {check}{more}"
