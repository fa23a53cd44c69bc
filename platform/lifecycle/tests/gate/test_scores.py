"""Scores are over all rows and over each side of a slice."""

from __future__ import annotations

import pandas as pd
import pytest

from lifecycle.gate import score


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
