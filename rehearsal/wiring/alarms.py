"""Checks that the clouds' own alerts can fire, and that they notify somebody.

An alarm on a metric that nothing sends never fires, and one without a receiver is never noticed; neither is an error.
Sources: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html,
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/aws-services-cloudwatch-metrics.html,
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html and
https://learn.microsoft.com/azure/azure-monitor/alerts/action-groups
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kernel.iam import statements
from kernel.values import as_list
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.wiring.graph import Wiring, describe

_ALARM, _FILTER = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:cloudwatch/logMetricFilter:LogMetricFilter"
_TOPIC, _SUBSCRIPTION = "aws:sns/topic:Topic", "aws:sns/topicSubscription:TopicSubscription"
_METRIC_ALERT, _LOG_ALERT = "azure-native:monitor:MetricAlert", "azure-native:monitor:ScheduledQueryRule"
_GROUP = "azure-native:monitor:ActionGroup"
# For each namespace: the dimension that its metrics of single resources require, the type of those, and their name.
_DIMENSIONS: Mapping[str, tuple[str, str, str]] = {
    "AWS/RDS": ("DBInstanceIdentifier", "aws:rds/instance:Instance", "identifier"),
    "AWS/NATGateway": ("NatGatewayId", "aws:ec2/natGateway:NatGateway", ""),
    "AWS/EKS": ("ClusterName", "aws:eks/cluster:Cluster", "name"),
    "AWS/SQS": ("QueueName", "aws:sqs/queue:Queue", "name"),
    "AWS/DynamoDB": ("TableName", "aws:dynamodb/table:Table", "name"),
}


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    for alarm in wiring.clouds.all(_ALARM):
        yield from _check_alarm(wiring, alarm)
    for filter_ in wiring.clouds.all(_FILTER):
        yield from _check_filter(wiring, filter_)
    for topic in wiring.clouds.all(_TOPIC):
        yield from _check_topic(wiring, topic)
    for type_ in (_METRIC_ALERT, _LOG_ALERT):
        for alert in wiring.clouds.all(type_):
            yield from _check_alert(wiring, alert)
    for group in wiring.clouds.all(_GROUP):
        yield from _check_group(group)


def _check_alarm(wiring: Wiring, alarm: Resource) -> Iterator[Problem]:
    name = describe(alarm)
    if not as_list(alarm.inputs.get("alarmActions")) or alarm.inputs.get("actionsEnabled") is False:
        yield Problem(name, "it notifies nobody", "set alarmActions")
    for metric in _list_metrics(alarm):
        namespace, dimensions = str(metric.get("namespace")), metric.get("dimensions") or {}
        if namespace in _DIMENSIONS:
            dimension, type_, path = _DIMENSIONS[namespace]
            value = dimensions.get(dimension)
            names = {str(found.inputs.get(path) or found.id) for found in wiring.clouds.all(type_)}
            if value is None:
                reason = f"{namespace} has no metric {metric.get('metricName')} without the dimension {dimension}"
                yield Problem(name, reason, "set dimensions")
            elif str(value) not in names:
                yield Problem(name, f"its dimension {dimension} names {value}, which does not exist", "correct it")
        elif not namespace.startswith("AWS/") and not _is_sent(wiring, namespace, str(metric.get("metricName"))):
            reason = f"nothing sends its metric {namespace} {metric.get('metricName')}"
            yield Problem(name, reason, "create a metric filter of this metric, or correct the names")


def _list_metrics(alarm: Resource) -> Iterator[Mapping[str, Any]]:
    if alarm.inputs.get("metricName"):
        yield alarm.inputs
    for query in as_list(alarm.inputs.get("metricQueries")):
        if query.get("metric"):
            yield query["metric"]


def _is_sent(wiring: Wiring, namespace: str, metric: str) -> bool:
    sent = (found.inputs.get("metricTransformation") or {} for found in wiring.clouds.all(_FILTER))
    return any((each.get("namespace"), each.get("name")) == (namespace, metric) for each in sent)


def _check_filter(wiring: Wiring, filter_: Resource) -> Iterator[Problem]:
    sent = filter_.inputs.get("metricTransformation") or {}
    wanted = {
        (metric.get("namespace"), metric.get("metricName"))
        for alarm in wiring.clouds.all(_ALARM)
        for metric in _list_metrics(alarm)
    }
    if (sent.get("namespace"), sent.get("name")) not in wanted:
        reason = f"no alarm uses its metric {sent.get('namespace')} {sent.get('name')}"
        yield Problem(describe(filter_), reason, "create an alarm, or delete the filter")


def _check_topic(wiring: Wiring, topic: Resource) -> Iterator[Problem]:
    arn = str(topic.outputs.get("arn"))
    if wiring.find_one(_SUBSCRIPTION, "topic", arn) is None:
        yield Problem(describe(topic), "it has no subscription, so it notifies nobody", "add a subscription")
    key = wiring.clouds.find(str(topic.inputs.get("kmsMasterKeyId")))
    alarms = [alarm for alarm in wiring.clouds.all(_ALARM) if arn in as_list(alarm.inputs.get("alarmActions"))]
    if key is None or not alarms:
        return
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        if not any(
            statement.is_allow
            and "cloudwatch.amazonaws.com" in statement.principals("Service")
            and statement.names_action(action)
            for statement in statements(key.inputs.get("policy"))
        ):
            reason = f"alarms are sent to it, but the policy of its key {key.id} does not allow them {action}"
            yield Problem(describe(topic), reason, "allow cloudwatch.amazonaws.com to use the key")


def _check_alert(wiring: Wiring, alert: Resource) -> Iterator[Problem]:
    actions = alert.inputs.get("actions")
    groups = (
        as_list(actions.get("actionGroups"))
        if isinstance(actions, Mapping)
        else [each.get("actionGroupId") for each in as_list(actions)]
    )
    if alert.inputs.get("enabled") is False:
        yield Problem(describe(alert), "it is disabled", "set enabled")
    if not groups or not any(wiring.clouds.find(str(group)) for group in groups):
        yield Problem(describe(alert), "it notifies nobody", "name an action group in its actions")
    if not as_list(alert.inputs.get("scopes")):
        yield Problem(describe(alert), "it has no scope, so it evaluates nothing", "set scopes")


def _check_group(group: Resource) -> Iterator[Problem]:
    receivers = [name for name, value in group.inputs.items() if name.endswith("Receivers") and as_list(value)]
    if not receivers or group.inputs.get("enabled") is False:
        yield Problem(describe(group), "it notifies nobody", "enable it, and add a receiver")
