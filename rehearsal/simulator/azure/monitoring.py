"""Alerts on metrics and on logs, and workbooks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kernel.values import UNKNOWN
from rehearsal.simulator.azure.arm import accept_locations, arm_model
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceRequest, Rule
from rehearsal.simulator.core.rules import (
    describe_unlisted,
    in_range,
    list_objects,
    matches,
    one_of,
    refuse_when,
    require_json,
)

_MINUTES = {
    **{f"PT{minutes}M": minutes for minutes in (1, 5, 10, 15, 30, 45)},
    **{f"PT{hours}H": hours * 60 for hours in (1, 2, 3, 4, 5, 6, 12)},
    **{f"P{days}D": days * 1440 for days in (1, 2)},
}
# Source: https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-metric-alert-rule
_METRIC_FREQUENCIES = ("PT1M", "PT5M", "PT15M", "PT30M", "PT1H")
_METRIC_WINDOWS = (*_METRIC_FREQUENCIES, "PT6H", "PT12H", "P1D")
# The locations of metric alerts: global, or a region in which the data is processed.
# Source: https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-metric-alert-rule
_METRIC_ALERT_LOCATIONS = ("global", "northeurope", "westeurope", "swedencentral", "germanywestcentral")
_METRIC_OPERATORS = ("Equals", "GreaterThan", "GreaterThanOrEqual", "LessThan", "LessThanOrEqual", "GreaterOrLessThan")
_AGGREGATIONS = ("Average", "Count", "Minimum", "Maximum", "Total")
# Source: https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule
_LOG_FREQUENCIES = tuple(name for name in _MINUTES if name not in ("PT12H", "P2D"))
_LOG_WINDOWS = tuple(name for name in _MINUTES if name != "PT12H")
_LOG_OPERATORS = ("Equals", "GreaterThan", "GreaterThanOrEqual", "LessThan", "LessThanOrEqual")
_LONGEST_RANGE = 2 * 1440  # minutes that an alert's query may cover
_MAXIMUM_DIMENSIONS, _MAXIMUM_EVALUATIONS = 6, 6
# Some of the metrics of each type, keyed by the last segment of the resource's type; not checked against an account.
# Documented at https://learn.microsoft.com/azure/azure-monitor/reference/metrics-index
_METRICS: Mapping[str, frozenset[str]] = {
    "flexibleservers": frozenset(
        {
            "active_connections",
            "connections_failed",
            "cpu_percent",
            "is_db_alive",
            "memory_percent",
            "storage_free",
            "storage_percent",
            "storage_used",
        }
    ),
    "vaults": frozenset(
        {"Availability", "SaturationShoebox", "ServiceApiHit", "ServiceApiLatency", "ServiceApiResult"}
    ),
    "natgateways": frozenset(
        {
            "ByteCount",
            "DatapathAvailability",
            "PacketCount",
            "PacketDropCount",
            "SNATConnectionCount",
            "TotalConnectionCount",
        }
    ),
    "managedclusters": frozenset(
        {
            "cluster_autoscaler_cluster_safe_to_autoscale",
            "cluster_autoscaler_unneeded_nodes_count",
            "cluster_autoscaler_unschedulable_pods_count",
            "kube_node_status_condition",
            "kube_pod_status_phase",
            "kube_pod_status_ready",
            "node_cpu_usage_percentage",
            "node_disk_usage_percentage",
            "node_memory_working_set_percentage",
        }
    ),
}


def _has_short_window(request: ResourceRequest) -> bool:
    frequency, window = request.get("evaluationFrequency"), request.get("windowSize")
    if frequency not in _MINUTES or window not in _MINUTES:
        return False
    return _MINUTES[window] < _MINUTES[frequency]


# Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/website/docs/r/monitor_scheduled_query_rules_alert_v2.html.markdown
def _evaluates_too_long(request: ResourceRequest) -> bool:
    window = _MINUTES.get(str(request.get("windowSize")), 0)
    periods = [condition.get("failingPeriods") for condition in _list_conditions(request)]
    numbers = [each.get("numberOfEvaluationPeriods", 1) for each in periods if isinstance(each, Mapping)]
    return any(isinstance(number, int) and window * number > _LONGEST_RANGE for number in numbers)


def _list_conditions(request: ResourceRequest) -> list[Mapping[str, Any]]:
    return list(list_objects(request, "criteria.allOf"))


def _require_item(path: str, item: str) -> Rule:
    return refuse_when(lambda request: request.get(path) in (None, []), f"BadRequest: An alert needs a {item}.")


# Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/monitor/monitor_metric_alert_resource.go
def _check_metric_conditions(request: ResourceRequest) -> str | None:
    for condition in _list_conditions(request):
        for name, allowed in (("operator", _METRIC_OPERATORS), ("timeAggregation", _AGGREGATIONS)):
            value = condition.get(name)
            if value is not UNKNOWN and value not in allowed:
                return f"BadRequest: The {name} '{value}' is not one of {', '.join(allowed)}."
    return None


def _check_log_condition(condition: Mapping[str, Any]) -> str | None:
    query, aggregation = condition.get("query", ""), condition.get("timeAggregation")
    measure, operator = condition.get("metricMeasureColumn"), condition.get("operator")
    dimensions = condition.get("dimensions") or []
    periods = condition.get("failingPeriods") or {}
    if query is not UNKNOWN and not re.sub(r"//.*", "", str(query)).strip():
        return "BadRequest: The query must not be empty."
    if aggregation is not UNKNOWN and aggregation not in _AGGREGATIONS:
        return f"BadRequest: The timeAggregation '{aggregation}' is not one of {', '.join(_AGGREGATIONS)}."
    if operator is not UNKNOWN and operator not in _LOG_OPERATORS:
        return f"BadRequest: The operator '{operator}' is not one of {', '.join(_LOG_OPERATORS)}."
    if aggregation not in ("Count", UNKNOWN) and measure is None:
        return f"BadRequest: metricMeasureColumn is required for the timeAggregation '{aggregation}'."
    if aggregation == "Count" and measure not in (None, UNKNOWN):
        return "BadRequest: metricMeasureColumn cannot be set for the timeAggregation 'Count'."
    if isinstance(dimensions, list) and len(dimensions) > _MAXIMUM_DIMENSIONS:
        return f"BadRequest: An alert has at most {_MAXIMUM_DIMENSIONS} dimensions."
    return _check_periods(periods) if isinstance(periods, Mapping) else None


def _check_periods(periods: Mapping[str, Any]) -> str | None:
    number, failing = periods.get("numberOfEvaluationPeriods", 1), periods.get("minFailingPeriodsToAlert", 1)
    if not isinstance(number, int) or not isinstance(failing, int):
        return None
    if 1 <= failing <= number <= _MAXIMUM_EVALUATIONS:
        return None
    return (
        f"BadRequest: minFailingPeriodsToAlert {failing} must be at most numberOfEvaluationPeriods {number}, which "
        f"must be 1 to {_MAXIMUM_EVALUATIONS}."
    )


# Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/website/docs/r/monitor_scheduled_query_rules_alert_v2.html.markdown
def _check_log_conditions(request: ResourceRequest) -> str | None:
    problems = (_check_log_condition(condition) for condition in _list_conditions(request))
    return next(filter(None, problems), None)


def _note_metrics(request: ResourceRequest) -> str | None:
    scopes = request.get("scopes")
    if not isinstance(scopes, list) or not scopes or not isinstance(scopes[0], str) or "/" not in scopes[0]:
        return None
    kind = scopes[0].split("/")[-2]
    for condition in _list_conditions(request):
        metric, known = condition.get("metricName", UNKNOWN), _METRICS.get(kind.lower(), frozenset())
        if metric is not UNKNOWN and metric not in known:
            return describe_unlisted(f"whether {kind} have the metric", metric, known)
    return None


# Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/applicationinsights/application_insights_workbook_resource.go
def _require_text(path: str) -> Rule:
    return refuse_when(
        lambda request: request.get(path) in (None, ""), f"BadRequest: A workbook needs the property {path}."
    )


def _alert_rules(frequencies: tuple[str, ...], windows: tuple[str, ...]) -> tuple[Rule, ...]:
    """The rules that alerts on metrics and on logs share."""
    return (
        one_of("evaluationFrequency", frequencies, "BadRequest: The evaluationFrequency '{value}' is not supported."),
        one_of("windowSize", windows, "BadRequest: The windowSize '{value}' is not supported."),
        refuse_when(
            _has_short_window,
            "BadRequest: The windowSize {windowSize} must not be shorter than the evaluationFrequency "
            "{evaluationFrequency}.",
        ),
        in_range("severity", 0, 4, "BadRequest: The severity {value} is not 0 to 4."),
        _require_item("scopes", "scope"),
        _require_item("criteria.allOf", "condition"),
    )


MODELS = (
    arm_model(
        "monitor:MetricAlert",
        "Microsoft.Insights/metricAlerts/{ruleName}",
        transitions=UNRESTRICTED,
        located=True,
        required=("criteria", "enabled", "evaluationFrequency", "scopes", "severity", "windowSize"),
        rules=(
            *_alert_rules(_METRIC_FREQUENCIES, _METRIC_WINDOWS),
            accept_locations("Microsoft.Insights/metricAlerts", _METRIC_ALERT_LOCATIONS),
            _check_metric_conditions,
        ),
        notes=(_note_metrics,),
    ),
    arm_model(
        "monitor:ScheduledQueryRule",
        "Microsoft.Insights/scheduledQueryRules/{ruleName}",
        transitions=UNRESTRICTED,
        located=True,
        rules=(
            *_alert_rules(_LOG_FREQUENCIES, _LOG_WINDOWS),
            refuse_when(
                _evaluates_too_long,
                "BadRequest: windowSize times numberOfEvaluationPeriods must not be longer than two days.",
            ),
            _check_log_conditions,
        ),
    ),
    # Source: https://learn.microsoft.com/azure/azure-monitor/visualize/workbooks-automate
    arm_model(
        "applicationinsights:Workbook",
        "Microsoft.Insights/workbooks/{resourceName}",
        transitions=UNRESTRICTED,
        located=True,
        rules=(
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/applicationinsights/application_insights_workbook_resource.go
            matches(
                "resourceName",
                r"(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
                "BadRequest: The name of a workbook must be a GUID, not '{value}'.",
            ),
            one_of("kind", ("shared",), "BadRequest: The kind of a workbook must be 'shared', not '{value}'."),
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/applicationinsights/application_insights_workbook_resource.go
            require_json("serializedData", "BadRequest: serializedData must be a workbook's content as JSON."),
            *(_require_text(path) for path in ("displayName", "category", "serializedData")),
        ),
    ),
)
