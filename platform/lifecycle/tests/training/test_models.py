"""Search and training are repeatable, weights are saved in trusted types."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from lifecycle.gate import score
from lifecycle.training import data, models


@pytest.fixture(scope="module")
def partitions() -> tuple[pd.DataFrame, pd.DataFrame]:
    return data.split(data.load_shipped())


@pytest.mark.slow
@pytest.mark.parametrize("family", models.FAMILIES.values(), ids=lambda family: family.name)
def test_the_same_rows_give_the_same_model(
    family: models.Family, partitions: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    train_on, held_out = partitions
    first, second = (models.tune(family, train_on, trials=2) for _ in range(2))
    assert first == second
    assert len(first.trials) == 2
    assert first.accuracy == max(trial["accuracy"] for trial in first.trials)
    predictions = [family.fit(train_on, first.parameters).predict(held_out[data.FEATURES]) for _ in range(2)]
    assert (predictions[0] == predictions[1]).all()
    assert score(held_out, predictions[0], [])["accuracy"] > 0.9


@pytest.mark.parametrize("family", models.FAMILIES.values(), ids=lambda family: family.name)
def test_a_model_is_saved_in_the_contracts_types(
    family: models.Family, partitions: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    skops.io.dump(family.fit(partitions[0], {"n_estimators": 3}), tmp_path / "model.skops")
    assert models.load(tmp_path / "model.skops").predict(partitions[1][data.FEATURES]).shape == (len(partitions[1]),)


def test_weights_of_another_type_are_not_built(tmp_path: Path) -> None:
    skops.io.dump(Path("/etc/passwd"), tmp_path / "model.skops")
    with pytest.raises(UntrustedTypesFoundException):
        models.load(tmp_path / "model.skops")
