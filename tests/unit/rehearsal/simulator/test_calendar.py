"""Versions whose support ends on a given day, in the simulated clouds.

Proves for each service with an end of support that a new resource is refused after that day, that an existing one
keeps its version, that extended support is available at extra cost on request, and that the summary warns before and
after the day. Not proven: that the calendars match the clouds' pages, nor the wording of messages that a rule marks as
not the cloud's own.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from kernel.support_calendars import AKS, AZURE_POSTGRESQL, CHECKED, EKS, RDS_POSTGRESQL, SupportCalendar
from kernel.values import UNKNOWN
from rehearsal.simulator.aws.cloud import CLOUD as AWS
from rehearsal.simulator.azure.cloud import CLOUD as AZURE
from rehearsal.simulator.clouds import list_notes
from rehearsal.simulator.core.circumstances import Circumstances
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values
from tests.support.aws_account import CLUSTER, DATABASE, POSTGRES
from tests.support.aws_account import EKS as EKS_INPUTS
from tests.support.azure_subscription import VALID_INPUTS, with_change

AKS_TYPE, SERVER = "containerservice:ManagedCluster", "dbforpostgresql:Server"
Case = tuple[str, dict[str, Any], str, SupportCalendar, str]
CASES: list[Case] = [
    (
        CLUSTER,
        {**EKS_INPUTS, "upgradePolicy": {"supportType": "STANDARD"}},
        "version",
        EKS,
        "unsupported Kubernetes version",
    ),
    (
        DATABASE,
        {**POSTGRES, "engineLifecycleSupport": "open-source-rds-extended-support-disabled"},
        "engineVersion",
        RDS_POSTGRESQL,
        "Cannot find version",
    ),
    (f"azure-native:{AKS_TYPE}", VALID_INPUTS[AKS_TYPE], "kubernetesVersion", AKS, "K8sVersionNotSupported"),
    (f"azure-native:{SERVER}", VALID_INPUTS[SERVER], "version", AZURE_POSTGRESQL, "is retired"),
]
each_service = pytest.mark.parametrize("case", CASES, ids=lambda case: case[3].service)


def check(today: date, type_: str, inputs: dict[str, Any], old: dict[str, Any] | None = None) -> str:
    cloud = AWS if type_.startswith("aws:") else AZURE
    simulation = Simulation(cloud, StateStore(":memory:"), circumstances=Circumstances(today))
    simulation.configure({"region": "eu-west-1"} if cloud is AWS else {"location": "westeurope"})
    return "; ".join(simulation.check("urn::x", type_, Values(inputs), Values(old or {}))[1])


def list_support_notes(today: date, type_: str, inputs: dict[str, Any]) -> list[str]:
    resource = {"type": type_, "urn": f"urn:pulumi:s::p::{type_}::thing", "inputs": inputs}
    return [note for note in list_notes([resource], Circumstances(today)) if "support" in note]


@each_service
def test_a_version_is_refused_from_the_day_after_its_support_ended(case: Case) -> None:
    type_, inputs, path, calendar, message = case
    version, end = [*calendar.ends.items()][-1]
    requested = with_change(inputs, path, version)
    assert message not in check(end, type_, requested)
    assert message in check(end + timedelta(days=1), type_, requested)
    assert message not in check(end + timedelta(days=1), type_, with_change(inputs, path, UNKNOWN))


@each_service
def test_an_existing_resource_keeps_a_version_that_is_no_longer_supported(case: Case) -> None:
    type_, inputs, path, calendar, message = case
    version, end = [*calendar.ends.items()][-1]
    requested = with_change(inputs, path, version)
    assert message not in check(end + timedelta(days=400), type_, requested, requested)


@each_service
def test_the_summary_warns_ahead_of_the_end_and_after_it(case: Case) -> None:
    type_, inputs, path, calendar, _ = case
    version, end = [*calendar.ends.items()][-1]
    requested = with_change(inputs, path, version)
    assert list_support_notes(end - timedelta(days=61), type_, requested) == []
    (ahead,) = list_support_notes(end - timedelta(days=60), type_, requested)
    assert f"its standard support ends on {end}, in 60 days" in ahead
    (after,) = list_support_notes(end + timedelta(days=1), type_, requested)
    assert calendar.source in after


def test_support_at_extra_cost_lasts_as_long_as_the_calendar_says() -> None:
    requested = with_change(EKS_INPUTS, "version", "1.34")
    last = EKS.ends["1.34"] + timedelta(days=365)
    assert "unsupported" not in check(last, CLUSTER, requested)
    assert "unsupported" in check(last + timedelta(days=1), CLUSTER, requested)


def test_long_term_support_on_azure_has_no_known_end() -> None:
    requested = with_change(VALID_INPUTS[AKS_TYPE], "kubernetesVersion", "1.34")
    assert "K8sVersionNotSupported" in check(date(2030, 1, 1), f"azure-native:{AKS_TYPE}", requested)
    supported = {**requested, "supportPlan": "AKSLongTermSupport"}
    assert "K8sVersionNotSupported" not in check(date(2030, 1, 1), f"azure-native:{AKS_TYPE}", supported)


def test_a_calendar_is_too_old_more_than_90_days_after_its_check() -> None:
    assert EKS.describe_age(CHECKED + timedelta(days=90)) == ""
    assert EKS.source in EKS.describe_age(CHECKED + timedelta(days=91))
