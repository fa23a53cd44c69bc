"""Data that breaks its schema is rejected with column and rule; the split keeps held-out rows from every champion."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lifecycle.core import LifecycleError
from lifecycle.training import data


@pytest.fixture
def table() -> pd.DataFrame:
    return data.load_shipped()


def rejection(table: pd.DataFrame) -> str:
    with pytest.raises(LifecycleError) as caught:
        data.validate(table)
    return str(caught.value)


def test_the_shipped_table_fits_its_schema(table: pd.DataFrame) -> None:
    assert data.validate(table).shape == (569, 31)
    assert table[data.TARGET].sum() == 212  # malignant, as published


def test_a_missing_column_is_named(table: pd.DataFrame) -> None:
    assert "column radius_error is missing" in rejection(table.drop(columns="radius_error"))


def test_an_unknown_column_is_named(table: pd.DataFrame) -> None:
    assert "column patient is not in the schema" in rejection(table.assign(patient=1))


def test_a_value_out_of_bounds_is_named_with_its_row_and_rule(table: pd.DataFrame) -> None:
    table.loc[[3, 5], "mean_area"] = -1.0
    assert "column mean_area: -1.0 in row 3 breaks the rule in_range(0.0, 10000.0), and 1 more" in rejection(table)


def test_a_missing_value_is_named_with_its_row(table: pd.DataFrame) -> None:
    table.loc[7, "worst_radius"] = None
    assert "column worst_radius: None in row 7 breaks the rule not_nullable" in rejection(table)


def test_a_column_of_another_type_is_one_problem(table: pd.DataFrame) -> None:
    message = rejection(table.assign(mean_radius="large"))
    assert "breaks 1 rule of" in message
    assert "column mean_radius: 'large' in row 0 breaks the rule dtype('float64'), and 568 more" in message


def test_a_class_that_does_not_exist_is_rejected(table: pd.DataFrame) -> None:
    table.loc[0, data.TARGET] = 2
    assert "column target: 2 in row 0 breaks the rule isin([0, 1])" in rejection(table)


def test_too_few_rows_are_rejected(table: pd.DataFrame) -> None:
    assert "there must be at least 200 rows" in rejection(table.head(199))


def test_rows_of_one_class_are_rejected(table: pd.DataFrame) -> None:
    assert "there must be both classes, 0 and 1" in rejection(table[table[data.TARGET] == 0])


def test_all_broken_rules_are_reported_at_once(table: pd.DataFrame) -> None:
    table.loc[1, "mean_area"] = -1.0
    message = rejection(table.drop(columns="radius_error").assign(patient=1))
    assert "breaks 3 rules" in message


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(LifecycleError, match=r"The data file .*absent\.csv does not exist"):
        data.read(tmp_path / "absent.csv")


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe\x80\x81", b'a,b\n"1,2\n3,4,5\n'])
def test_a_malformed_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.csv").write_bytes(content)
    with pytest.raises(LifecycleError, match=r"broken\.csv cannot be read as CSV"):
        data.read(tmp_path / "broken.csv")


def test_a_quarter_of_the_rows_is_held_out_and_no_row_is_in_both_parts(table: pd.DataFrame) -> None:
    train_on, held_out = data.split(table)
    assert len(train_on) + len(held_out) == len(table)
    assert 0.2 < len(held_out) / len(table) < 0.3
    assert pd.merge(train_on, held_out, on=data.FEATURES).empty


def test_a_row_stays_held_out_when_rows_are_added_removed_and_reordered(table: pd.DataFrame) -> None:
    before = data.split(table)[1]
    changed = pd.concat(
        [table.sample(frac=0.7, random_state=1), (table.head(100) * 1.01).astype(table.dtypes.to_dict())]
    )
    train_on, _ = data.split(changed)
    assert pd.merge(train_on, before, on=data.FEATURES).empty


def test_each_side_of_each_slice_has_rows_of_both_classes(table: pd.DataFrame) -> None:
    held_out = data.split(table)[1]
    for each in data.SLICES:
        counted = held_out.groupby(each.column)[data.TARGET].nunique()
        assert counted.to_dict() == {each.below: 2, each.above: 2}
