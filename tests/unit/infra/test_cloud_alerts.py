"""The alerts, saved queries and budgets of the clouds themselves, which have the same names on both.

Proves who receives them and when there are none, that both clouds watch the same, and which limits follow from
settings. Does not prove that the clouds' metrics exist under these names: the models contain the documented ones.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from infra import aws, azure
from tests.support.recording import Recorder, record_program, stack_context
from tests.support.sample_foundations import record_foundation

pytestmark = pytest.mark.slow

EMAIL = {"alertEmail": "ml-oncall@example.com"}
METRIC_ALERT, LOG_ALERT = "azure-native:monitor:MetricAlert", "azure-native:monitor:ScheduledQueryRule"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
# EKS' node groups have no metric of their number of nodes, and Karpenter's nodes are in no group: the alert on pods
# that fit on no node covers both. Keys on AWS do not expire.
ON_AZURE_ONLY = {"node-pool-at-maximum", "key-expiry"}


def declare(cloud: str, environment: str = "dev", **settings: Any) -> Recorder:
    return record_foundation(cloud, environment, **settings).recorder


@pytest.fixture(scope="module")
def on_azure() -> Recorder:
    cluster = {"systemPool": {"minimum": 2, "maximum": 2}, "userPool": {"minimum": 1, "maximum": 7}}
    return declare("azure", telemetry=EMAIL, cost={"monthlyBudget": 5000}, cluster=cluster)


@pytest.fixture(scope="module")
def on_aws() -> Recorder:
    return declare("aws", "prod", telemetry=EMAIL, cost={"monthlyBudget": 5000}, database={"storageGb": 100})


def names(recorder: Recorder, *types: str) -> set[str]:
    resource_names = (resource.name for type_ in types for resource in recorder.of_type(type_))
    return {re.sub(r"^alerts-|-(\d|user|system|gpu)$", "", name) for name in resource_names}


def test_both_clouds_watch_the_same(on_azure: Recorder, on_aws: Recorder) -> None:
    assert names(on_azure, METRIC_ALERT, LOG_ALERT) - ON_AZURE_ONLY == names(on_aws, ALARM)


def test_every_alert_of_azure_goes_to_the_address(on_azure: Recorder) -> None:
    group = on_azure.single("azure-native:monitor:ActionGroup")
    assert group.inputs["emailReceivers"][0]["emailAddress"] == EMAIL["alertEmail"]
    for alert in on_azure.of_type(METRIC_ALERT):
        assert [action["actionGroupId"] for action in alert.inputs["actions"]] == [group.id]
    for alert in on_azure.of_type(LOG_ALERT):
        assert alert.inputs["actions"]["actionGroups"] == [group.id]


def test_every_alert_of_aws_goes_to_the_address(on_aws: Recorder) -> None:
    topic = on_aws.single("aws:sns/topic:Topic")
    assert on_aws.single("aws:sns/topicSubscription:TopicSubscription").inputs["endpoint"] == EMAIL["alertEmail"]
    for alarm in on_aws.of_type(ALARM):
        assert alarm.inputs["alarmActions"] == alarm.inputs["okActions"] == [topic.id]


@pytest.mark.parametrize("cloud", ["azure", "aws"])
def test_without_an_address_there_are_no_alerts_and_a_warning(cloud: str, preview_warnings: list[str]) -> None:
    foundation = {"azure": azure, "aws": aws}[cloud]
    recorder, _ = record_program(lambda: foundation.create_foundation(stack_context(cloud)), f"{cloud}-dev")
    assert not [type_ for type_ in (METRIC_ALERT, LOG_ALERT, ALARM) if recorder.of_type(type_)]
    (message,) = preview_warnings
    assert "Set telemetry.alertEmail." in message
    saved = ("azure-native:applicationinsights:Workbook", "aws:cloudwatch/queryDefinition:QueryDefinition")
    assert any(recorder.of_type(type_) for type_ in saved)


@pytest.mark.parametrize("cloud", ["azure", "aws"])
def test_without_an_amount_there_is_no_budget(cloud: str) -> None:
    assert not [resource for resource in declare(cloud).resources if resource.type.endswith(("Budget", ":Budget"))
                and not resource.type.startswith("groundwork:")]  # fmt: skip


def test_a_pool_alerts_at_the_maximum_of_its_settings_if_it_can_grow(on_azure: Recorder) -> None:
    (alert,) = [one for one in on_azure.of_type(LOG_ALERT) if "node-pool" in one.name]
    (condition,) = alert.inputs["criteria"]["allOf"]
    assert (condition["threshold"], condition["dimensions"][0]["values"]) == (7, ["user"])


def test_a_disk_alerts_when_a_tenth_is_left(on_aws: Recorder) -> None:
    (alarm,) = [one for one in on_aws.of_type(ALARM) if "disk" in one.name]
    assert alarm.inputs["threshold"] == 10 * 1024**3


def test_every_nat_gateway_has_an_alert(on_aws: Recorder) -> None:
    gateways = {gateway.id for gateway in on_aws.of_type("aws:ec2/natGateway:NatGateway")}
    watched = {alarm.inputs["dimensions"]["NatGatewayId"] for alarm in on_aws.of_type(ALARM) if "nat" in alarm.name}
    assert len(gateways) == 3
    assert watched == gateways


def test_the_counted_metrics_are_those_of_the_alarms(on_aws: Recorder) -> None:
    counted = {
        (item.inputs["metricTransformation"]["namespace"], item.inputs["metricTransformation"]["name"])
        for item in on_aws.of_type("aws:cloudwatch/logMetricFilter:LogMetricFilter")
    }
    alarms = {(alarm.inputs.get("namespace"), alarm.inputs.get("metricName")) for alarm in on_aws.of_type(ALARM)}
    assert counted
    assert counted == {(space, name) for space, name in alarms if str(space).startswith("Groundwork/")}


def test_the_budget_covers_resources_with_the_stacks_tag(on_azure: Recorder, on_aws: Recorder) -> None:
    azure_budget = on_azure.single("azure-native:consumption:Budget").inputs
    assert azure_budget["filter"]["tags"] == {"name": "stack", "operator": "In", "values": ["azure-dev"]}
    assert azure_budget["timePeriod"]["startDate"].endswith("-01T00:00:00Z")
    assert {tuple(one["contactEmails"]) for one in azure_budget["notifications"].values()} == {(EMAIL["alertEmail"],)}
    aws_budget = on_aws.single("aws:budgets/budget:Budget").inputs
    assert aws_budget["costFilters"] == [{"name": "TagKeyValue", "values": ["user:stack$aws-prod"]}]
    assert aws_budget["limitAmount"] == "5000"


def test_the_dashboard_shows_existing_resources(on_aws: Recorder) -> None:
    text = on_aws.single("aws:cloudwatch/dashboard:Dashboard").inputs["dashboardBody"]
    metrics = [metric for widget in json.loads(text)["widgets"] for metric in widget["properties"]["metrics"]]
    known = {resource.id for resource in on_aws.resources} | {
        resource.inputs.get("identifier") for resource in on_aws.resources
    }
    assert metrics
    assert all(metric[3] in known for metric in metrics)
