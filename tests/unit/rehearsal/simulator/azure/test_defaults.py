"""The names and locations that the `azure-native` provider fills in, and which an update retains.

Proves it at the provider protocol's Check. Not proven: the random digits themselves, which the engine's seed decides.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from kernel.values import UNKNOWN
from rehearsal.simulator.core.naming import NO_HINTS, AutonamingMode, NamingHints
from rehearsal.simulator.core.values import Values
from tests.support.azure_subscription import GROUP as GROUP_ID
from tests.support.azure_subscription import VALID_INPUTS, Subscription

GROUP, ACCOUNT = "resources:ResourceGroup", "storage:StorageAccount"
CONTAINER, ASSIGNMENT = "storage:BlobContainer", "authorization:RoleAssignment"
STORE = {"sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}


def check(
    azure: Subscription, type_: str, inputs: dict[str, Any], old: Values | None = None, hints: NamingHints = NO_HINTS
) -> tuple[Values, list[str]]:
    urn = f"urn:pulumi:s::p::azure-native:{type_}::data"
    return azure.simulation.check(urn, f"azure-native:{type_}", Values(inputs), old, hints)


@pytest.mark.parametrize(
    ("type_", "name", "inputs", "pattern"),
    [
        (GROUP, "resourceGroupName", {}, r"data[0-9a-f]{8}"),
        (ACCOUNT, "accountName", {"resourceGroupName": "rg", **STORE}, r"data[0-9a-f]{8}"),
        (CONTAINER, "containerName", {"resourceGroupName": "rg", "accountName": "store1"}, "data"),
        (
            ASSIGNMENT,
            "roleAssignmentName",
            {key: value for key, value in VALID_INPUTS[ASSIGNMENT].items() if key != "roleAssignmentName"},
            r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        ),
    ],
)
def test_the_form_of_a_name_depends_on_the_path_of_the_resource(
    type_: str, name: str, inputs: dict[str, Any], pattern: str
) -> None:
    complete, problems = check(Subscription(), type_, inputs)
    assert problems == []
    assert re.fullmatch(pattern, complete.plain[name])


def test_an_update_retains_names_and_locations() -> None:
    azure = Subscription()
    first, _ = check(azure, GROUP, {})
    azure.simulation.configure({"location": "northeurope"})
    second, _ = check(azure, GROUP, {}, old=first, hints=NamingHints(b"another"))
    assert second == first
    assert first.plain["location"] == "westeurope"


def test_a_replacement_with_a_generated_name_is_created_before_the_deletion() -> None:
    azure = Subscription()
    before, _ = check(azure, GROUP, {})
    after, _ = check(azure, GROUP, {"location": "northeurope"}, old=before)
    id_ = GROUP_ID.rpartition("/")[0] + "/" + before.plain["resourceGroupName"]
    difference = azure.simulation.diff(
        "urn:pulumi:s::p::t::data", "azure-native:resources:ResourceGroup", id_, before, after
    )
    assert (difference.replaces, difference.delete_before_replace) == (["location"], False)


@pytest.mark.parametrize(
    ("hints", "problems"),
    [
        (NamingHints(mode=AutonamingMode.PROPOSE, proposed="acme"), []),
        (NamingHints(mode=AutonamingMode.ENFORCE, proposed="acme"), []),
        (NamingHints(mode=AutonamingMode.DISABLE), ["missing required property 'resourceGroupName'"]),
    ],
)
def test_the_autonaming_settings_of_the_engine_apply(hints: NamingHints, problems: list[str]) -> None:
    complete, reasons = check(Subscription(), GROUP, {}, hints=hints)
    assert (complete.plain.get("resourceGroupName"), reasons) == (None if problems else "acme", problems)


def test_a_location_defaults_to_that_of_the_provider_or_else_of_the_resource_group() -> None:
    azure = Subscription()
    assert check(azure, ACCOUNT, {"resourceGroupName": "rg", **STORE})[0].plain["location"] == "westeurope"
    other = Subscription(location="")
    other.create(GROUP, {"resourceGroupName": "rg", "location": "swedencentral"})
    assert check(other, ACCOUNT, {"resourceGroupName": "rg", **STORE})[0].plain["location"] == "swedencentral"
    assert check(other, ACCOUNT, {"resourceGroupName": UNKNOWN, **STORE})[0].plain["location"] is UNKNOWN
    _, (reason,) = check(other, GROUP, {})
    assert "pulumi config set azure-native:location" in reason
