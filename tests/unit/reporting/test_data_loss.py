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


def test_the_engine_refuses_to_delete_a_protected_resource() -> None:
    [(_, text)] = list_warnings([change(Kind.DELETED, DATABASE, "database", is_protected=True)])
    assert text == "is deleted, and with it its databases; it is protected, so the engine refuses"


@pytest.mark.parametrize("kind", [Kind.ADDED, Kind.CHANGED])
def test_a_resource_that_is_not_deleted_loses_nothing(kind: Kind) -> None:
    assert list_warnings([change(kind, DATABASE, "database")]) == []


def test_a_resource_without_data_loses_nothing() -> None:
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


def test_an_invalid_type_has_no_warning() -> None:
    assert list_warnings([change(Kind.DELETED, "nonsense", "x")]) == []
