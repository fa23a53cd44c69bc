"""Which changes lose data, and what the report says about them."""

from __future__ import annotations

import pytest

from reporting.changes import Kind, PropertyChange
from reporting.data_loss import list_warnings
from tests.support.report_findings import POOL, change

DATABASE = "aws:rds/instance:Instance"


def test_a_replacement_names_its_cause() -> None:
    causes = (
        PropertyChange("engineVersion", "15", "16"),
        PropertyChange("storageEncrypted", False, True, replaces=True),
    )
    [(_, text)] = list_warnings([change(Kind.REPLACED, DATABASE, "database", *causes)])
    assert text == "is replaced because of storageEncrypted, and with it its databases"


def test_what_is_protected_is_refused_by_the_engine() -> None:
    [(_, text)] = list_warnings([change(Kind.DELETED, DATABASE, "database", is_protected=True)])
    assert text == "is deleted, and with it its databases; it is protected, so the engine refuses"


@pytest.mark.parametrize("kind", [Kind.ADDED, Kind.CHANGED])
def test_what_stays_loses_nothing(kind: Kind) -> None:
    assert list_warnings([change(kind, DATABASE, "database")]) == []


def test_what_holds_nothing_loses_nothing() -> None:
    assert list_warnings([change(Kind.REPLACED, POOL, "cluster-user")]) == []


@pytest.mark.parametrize(
    "type_",
    [
        "azure-native:storage/v20240101:BlobContainer",
        "azure-native:storage:BlobContainer",
        "kubernetes:core/v1:Namespace",
    ],
)
def test_the_version_of_an_azure_api_makes_no_difference(type_: str) -> None:
    assert len(list_warnings([change(Kind.DELETED, type_, "x")])) == 1


def test_a_type_that_is_no_type_is_left_alone() -> None:
    assert list_warnings([change(Kind.DELETED, "nonsense", "x")]) == []
