"""What the simulated clouds answer on a given day about versions.

Proves for each service whose versions have an end that a new resource is refused after that day, that one which
stands keeps its version, that support at extra cost is had by whoever asks for it, and that the summary warns before
and after. Not proven: that the calendars say what the clouds' pages say, nor that the clouds word it so where a rule
says it is not their own message.
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
def test_a_version_is_refused_from_the_day_after_its_support(case: Case) -> None:
    type_, inputs, path, calendar, message = case
    version, end = [*calendar.ends.items()][-1]
    wanted = with_change(inputs, path, version)
    assert message not in check(end, type_, wanted)
    assert message in check(end + timedelta(days=1), type_, wanted)
    assert message not in check(end + timedelta(days=1), type_, with_change(inputs, path, UNKNOWN))


@each_service
def test_what_stands_keeps_a_version_that_is_not_supported_any_more(case: Case) -> None:
    type_, inputs, path, calendar, message = case
    version, end = [*calendar.ends.items()][-1]
    wanted = with_change(inputs, path, version)
    assert message not in check(end + timedelta(days=400), type_, wanted, wanted)


@each_service
def test_the_summary_warns_ahead_of_the_end_and_after_it(case: Case) -> None:
    type_, inputs, path, calendar, _ = case
    version, end = [*calendar.ends.items()][-1]
    wanted = with_change(inputs, path, version)
    assert list_support_notes(end - timedelta(days=61), type_, wanted) == []
    (ahead,) = list_support_notes(end - timedelta(days=60), type_, wanted)
    assert f"its standard support ends on {end}, in 60 days" in ahead
    (after,) = list_support_notes(end + timedelta(days=1), type_, wanted)
    assert calendar.source in after


def test_support_at_extra_cost_lasts_as_long_as_the_calendar_says() -> None:
    wanted = with_change(EKS_INPUTS, "version", "1.34")
    last = EKS.ends["1.34"] + timedelta(days=365)
    assert "unsupported" not in check(last, CLUSTER, wanted)
    assert "unsupported" in check(last + timedelta(days=1), CLUSTER, wanted)


def test_long_term_support_on_azure_has_no_known_end() -> None:
    wanted = with_change(VALID_INPUTS[AKS_TYPE], "kubernetesVersion", "1.34")
    assert "K8sVersionNotSupported" in check(date(2030, 1, 1), f"azure-native:{AKS_TYPE}", wanted)
    supported = {**wanted, "supportPlan": "AKSLongTermSupport"}
    assert "K8sVersionNotSupported" not in check(date(2030, 1, 1), f"azure-native:{AKS_TYPE}", supported)


def test_a_calendar_is_too_old_some_time_after_its_check() -> None:
    assert EKS.describe_age(CHECKED + timedelta(days=90)) == ""
    assert EKS.source in EKS.describe_age(CHECKED + timedelta(days=91))
