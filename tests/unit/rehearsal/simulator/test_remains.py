"""What exists undeclared: names that stay taken, what services create themselves, and what a fresh account lacks.

Proves each kind on the types that have it, with the day on which a name is free again, and that a used account has what
a fresh one lacks. Not proven: that these are all such types.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kernel.support_calendars import CHECKED
from rehearsal.simulator.aws.cloud import CLOUD as AWS
from rehearsal.simulator.azure.cloud import CLOUD as AZURE
from rehearsal.simulator.core.circumstances import Account, Circumstances
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values
from tests.support.aws_account import AUTOSCALING, DATABASE, KEY, LOGS, POSTGRES, ROOT, SECRET, allow, policy
from tests.support.azure_subscription import VALID_INPUTS, Subscription, in_group

VAULT = "azure-native:keyvault:Vault"
FLOW_LOG = "network:FlowLog"


class Days:
    """A cloud's state, in which the day and the kind of account change."""

    def __init__(self, state: StateStore | None = None) -> None:
        self.state = state or StateStore(":memory:")
        self.later, self.account = 0, Account.FRESH
        self._count = 0

    def _simulate(self, type_: str) -> Simulation:
        today = CHECKED + timedelta(days=self.later)
        cloud = AWS if type_.startswith("aws:") else AZURE
        simulation = Simulation(cloud, self.state, circumstances=Circumstances(today, account=self.account))
        simulation.configure({"region": "eu-west-1", "location": "westeurope"})
        return simulation

    def create(self, type_: str, inputs: dict[str, Any]) -> str:
        self._count += 1
        urn = f"urn:pulumi:s::p::{type_}::{self._count}"
        simulation = self._simulate(type_)
        complete, _ = simulation.check(urn, type_, Values(inputs))
        return simulation.create(urn, type_, complete, preview=False)[0]

    def delete(self, type_: str, id_: str) -> None:
        self._simulate(type_).delete(f"urn:pulumi:s::p::{type_}::x", type_, id_)


@pytest.fixture
def days() -> Days:
    days = Days()
    days.create("azure-native:resources:ResourceGroup", VALID_INPUTS["resources:ResourceGroup"])
    return days


@pytest.mark.parametrize(
    ("type_", "inputs", "taken_days", "message"),
    [
        (VAULT, VALID_INPUTS["keyvault:Vault"], None, "already exists in deleted state"),
        (SECRET, {"name": "a", "recoveryWindowInDays": 7}, 7, "already scheduled for deletion"),
        (SECRET, {"name": "a"}, 30, "already scheduled for deletion"),
    ],
)
def test_a_name_is_taken_until_its_resource_can_no_longer_be_restored(
    days: Days, type_: str, inputs: dict[str, Any], taken_days: int | None, message: str
) -> None:
    taken_days = taken_days or inputs["properties"].get("softDeleteRetentionInDays", 90)
    days.delete(type_, days.create(type_, inputs))
    days.later = taken_days
    with pytest.raises(CloudError, match=message):
        days.create(type_, inputs)
    days.later = taken_days + 1
    days.create(type_, inputs)


def test_a_secret_without_recovery_frees_its_name_at_once(days: Days) -> None:
    for _ in range(2):
        days.delete(SECRET, days.create(SECRET, {"name": "a", "recoveryWindowInDays": 0}))


def test_a_final_snapshot_keeps_its_name_for_ever(days: Days) -> None:
    inputs = {**POSTGRES, "finalSnapshotIdentifier": "last"}
    days.delete(DATABASE, days.create(DATABASE, inputs))
    days.later = 4000
    again = days.create(DATABASE, inputs)
    with pytest.raises(CloudError, match="DBSnapshotAlreadyExists"):
        days.delete(DATABASE, again)


def test_names_stay_taken_when_the_state_is_opened_again(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    first = Days(StateStore(file))
    first.delete(SECRET, first.create(SECRET, {"name": "a"}))
    first.state.close()
    with pytest.raises(CloudError, match="already scheduled for deletion"):
        Days(StateStore(file)).create(SECRET, {"name": "a"})


def test_the_first_network_of_a_location_brings_its_network_watcher(azure: Subscription) -> None:
    group = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/NetworkWatcherRG"
    watcher = f"{group}/providers/Microsoft.Network/networkWatchers/NetworkWatcher_westeurope"
    assert azure.state.find(watcher) is not None
    assert Subscription().state.find(watcher) is None
    elsewhere = in_group(
        virtualNetworkName="far", location="northeurope", addressSpace={"addressPrefixes": ["10.9.0.0/16"]}
    )
    azure.create("network:VirtualNetwork", elsewhere)
    assert azure.state.find(watcher.replace("westeurope", "northeurope")) is not None


def test_a_flow_log_is_refused_before_there_is_a_network(days: Days) -> None:
    with pytest.raises(CloudError, match="'NetworkWatcherRG' could not be found"):
        days.create(f"azure-native:{FLOW_LOG}", VALID_INPUTS[FLOW_LOG])


@pytest.mark.parametrize(("group", "is_left"), [("/aws/eks/a/cluster", True), ("/acme/a", False)])
def test_a_used_account_has_log_groups_that_services_created_again(days: Days, group: str, is_left: bool) -> None:
    for account in Account:
        days.account = account
        days.delete(LOGS, days.create(LOGS, {"name": group, "retentionInDays": 30}))
        left = days.state.get(LOGS, group)
        assert (left is not None) is (is_left and account is Account.USED)
        assert left is None or "retentionInDays" not in left.inputs


def test_a_key_policy_can_name_a_service_linked_role_in_a_used_account_only(days: Days) -> None:
    inputs = {"policy": policy(allow("kms:*", Principal={"AWS": [ROOT, AUTOSCALING]}, Resource="*"))}
    with pytest.raises(CloudError, match="invalid principals"):
        days.create(KEY, inputs)
    days.account = Account.USED
    days.create(KEY, inputs)
