"""Scores are over all rows and over each side of a slice."""

from __future__ import annotations

import pandas as pd
import pytest

from lifecycle.gate import score
from lifecycle.gate.scores import ScoringError


def test_scores_are_over_all_rows_and_over_each_value_of_a_slice() -> None:
    held_out = pd.DataFrame({"target": [1, 1, 0, 0], "texture": ["fine", "fine", "fine", "coarse"]})
    metrics = score(held_out, [1.0, 0.0, 0.0, 1.0], ["texture"])
    assert metrics == pytest.approx(
        {
            "accuracy": 0.5,
            "precision": 0.5,
            "recall": 0.5,
            "f1": 0.5,
            "texture/fine/accuracy": 2 / 3,
            "texture/coarse/accuracy": 0.0,
        }
    )


@pytest.mark.parametrize(
    ("held_out", "predictions", "message"),
    [
        ({"label": [0, 1, 1]}, [0, 1, 1], "no column target, which the gate scores by"),
        ({"target": [0, 1, 2]}, [0, 1, 1], r"target` of the held-out data has 1 values that are neither 0 nor 1 \(2\)"),
        ({"target": ["a", "b", "b"]}, [0, 1, 1], r"2 values that are neither 0 nor 1 \(a, b\)"),
        ({"target": [0.5, 1.5, 2.5]}, [0, 1, 1], "binary classifiers, with the classes"),
        (
            {"target": [0, 1, 1]},
            [0.2, 0.9, 1.1],
            r"The model predicts 3 values that are neither 0 nor 1 \(0\.2, 0\.9, 1",
        ),
        ({"target": [0, 1, 1]}, [0, 1], "The model returns 2 predictions for 3 held-out rows"),
    ],
)
def test_predictions_of_other_than_a_binary_classifier_are_rejected(
    held_out: dict[str, list[float]], predictions: list[float], message: str
) -> None:
    with pytest.raises(ScoringError, match=message):
        score(pd.DataFrame(held_out), predictions, [])


def test_a_slice_without_its_column_is_named() -> None:
    with pytest.raises(ScoringError, match="no column texture"):
        score(pd.DataFrame({"target": [0, 1]}), [0, 1], ["texture"])
