"""CloudWatch alarms, dashboards, saved queries, and metrics that are derived from logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kernel.values import UNKNOWN
from rehearsal.simulator.aws.naming import auto_named
from rehearsal.simulator.aws.rules import arn_template, get_name
from rehearsal.simulator.aws.telemetry import LOG_GROUP
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest
from rehearsal.simulator.core.rules import (
    in_range,
    list_objects,
    matches,
    one_of,
    parse_json,
    refuse_when,
    require_any,
    require_existing,
)
from rehearsal.simulator.core.values import has_unknown

# Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
_HOUR, _DAY, _WEEK = 3600, 86_400, 604_800  # seconds
_MAXIMUM_ACTIONS = 5
_STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_MISSING_DATA = ("breaching", "notBreaching", "ignore", "missing")
_OPERATORS = (
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
    "LessThanLowerOrGreaterThanUpperThreshold",
    "LessThanLowerThreshold",
    "GreaterThanUpperThreshold",
)
# Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
_WIDGETS = ("alarm", "custom", "explorer", "log", "metric", "text")
_MAXIMUM_WIDGETS, _GRID_WIDTH, _GRID_HEIGHT = 500, 24, 1000


# Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
def _has_invalid_period(request: ResourceRequest) -> bool:
    period = request.get("period", UNKNOWN)
    return period is not UNKNOWN and period not in (10, 20, 30) and period % 60 != 0


def _evaluates_too_long(request: ResourceRequest) -> bool:
    period, periods = request.get("period", UNKNOWN), request.get("evaluationPeriods", UNKNOWN)
    if UNKNOWN in (period, periods):
        return False
    return bool(period * periods > (_DAY if period < _HOUR else _WEEK))


# Source: https://github.com/hashicorp/terraform/issues/24070
def _has_more_points_than_periods(request: ResourceRequest) -> bool:
    points, periods = request.get("datapointsToAlarm", UNKNOWN), request.get("evaluationPeriods", UNKNOWN)
    return UNKNOWN not in (points, periods) and points > periods


def _has_too_many_actions(request: ResourceRequest) -> bool:
    lists = (request.get(path) for path in ("alarmActions", "okActions", "insufficientDataActions"))
    return any(isinstance(actions, list) and len(actions) > _MAXIMUM_ACTIONS for actions in lists)


# Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/website/docs/r/cloudwatch_metric_alarm.html.markdown
def _check_metric(request: ResourceRequest) -> str | None:
    """The message is not AWS's own."""
    if request.get("metricName") is None:
        return None
    needed = {"Namespace": ("namespace",), "Period": ("period",), "Statistic": ("statistic", "extendedStatistic")}
    for what, paths in needed.items():
        if all(request.get(path) is None for path in paths):
            return f"ValidationError: Metric {request.get('metricName')} has no {what}"
    return None


# Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
def _returns_not_one(request: ResourceRequest) -> bool:
    if has_unknown(request.get("metricQueries")):
        return False
    returned = [query.get("returnData") for query in list_objects(request, "metricQueries")]
    return bool(returned) and returned.count(True) != 1


def _check_dashboard_body(request: ResourceRequest) -> str | None:
    body = parse_json(request.get("dashboardBody"))
    if body is UNKNOWN:
        return None
    problem = next(_find_body_problems(body), None)
    return problem and f"InvalidParameterInput: The dashboard body is invalid, there are 1 validation errors: {problem}"


def _find_body_problems(body: Any) -> Iterator[str]:
    if not isinstance(body, Mapping):
        yield "The field DashboardBody must be a valid JSON object"
        return
    widgets = body.get("widgets")
    if not isinstance(widgets, list):
        yield 'Should have required property "widgets"'
        return
    if len(widgets) > _MAXIMUM_WIDGETS:
        yield f"widgets: Should not have more than {_MAXIMUM_WIDGETS} items"
    for number, widget in enumerate(widgets):
        yield from (f"/widgets/{number}: {problem}" for problem in _find_widget_problems(widget))


def _find_widget_problems(widget: Mapping[str, Any]) -> Iterator[str]:
    kind, properties = widget.get("type"), widget.get("properties")
    if kind not in _WIDGETS:
        yield f"type: Should match one of {', '.join(_WIDGETS)}"
    if not isinstance(properties, Mapping):
        yield 'Should have required property "properties"'
    elif kind == "metric" and not properties.get("metrics"):
        yield 'properties: Should have required property "metrics"'
    elif kind in ("log", "metric") and not properties.get("region"):
        yield 'properties: Should have required property "region"'
    for side, maximum in (("width", _GRID_WIDTH), ("height", _GRID_HEIGHT)):
        if not 1 <= widget.get(side, 1) <= maximum:
            yield f"{side}: Should be from 1 to {maximum}"


MODELS = (
    ResourceModel(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        id=get_name,
        outputs={"arn": lambda request: request.fill(arn_template("cloudwatch", "alarm:")) + get_name(request)},
        defaults=auto_named(prefix_path=""),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/cloudwatch/metric_alarm.go
        replace_on_changes=("name",),
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
            *(
                require_any(
                    [path, "evaluationCriteria"],
                    f"ValidationError: 1 validation error detected: Value null at '{path}' failed to satisfy "
                    "constraint: Member must not be null",
                )
                for path in ("comparisonOperator", "evaluationPeriods")
            ),
            # Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
            require_any(
                ["metricName", "metricQueries", "evaluationCriteria"],
                "ValidationError: Exactly one of MetricName, Metrics and EvaluationCriteria is required",
            ),
            _check_metric,
            matches("namespace", r"[^:].{0,254}", "ValidationError: Value '{value}' at 'namespace' failed: [^:].*"),
            one_of("comparisonOperator", _OPERATORS, "expected comparison_operator to be valid, got {value}"),
            one_of("statistic", _STATISTICS, "expected statistic to be valid, got {value}"),
            # Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
            one_of("treatMissingData", _MISSING_DATA, "expected treat_missing_data to be valid, got {value}"),
            in_range("evaluationPeriods", 1, _WEEK, "expected evaluation_periods to be at least (1), got {value}"),
            refuse_when(
                _has_invalid_period, "ValidationError: Metric period {period} is not 10, 20, 30 or a multiple of 60"
            ),
            refuse_when(
                _evaluates_too_long,
                "ValidationError: Metrics cannot be checked across more than a day (EvaluationPeriods * Period must "
                "be <= 86400), and with periods of an hour or more across more than seven days (<= 604800)",
            ),
            refuse_when(
                _has_more_points_than_periods,
                "ValidationError: DatapointsToAlarm must be less than or equal to EvaluationPeriods",
            ),
            refuse_when(_has_too_many_actions, f"ValidationError: at most {_MAXIMUM_ACTIONS} actions for a state"),
            refuse_when(
                _returns_not_one, "ValidationError: Exactly one element of the metrics list should return data"
            ),
        ),
    ),
    # Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutMetricFilter.html
    ResourceModel(
        "aws:cloudwatch/logMetricFilter:LogMetricFilter",
        id=get_name,
        required=("logGroupName", "metricTransformation", "pattern"),
        defaults=auto_named(prefix_path=""),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/logs/metric_filter.go
        replace_on_changes=("name", "logGroupName"),
        transitions=UNRESTRICTED,
        rules=(
            matches("name", r"[^:*]{1,512}", "InvalidParameterException: filterName '{value}' must match [^:*]*"),
            matches("pattern", r"(?s).{0,1024}", "InvalidParameterException: filterPattern is over 1024 characters"),
            matches("metricTransformation.name", r"[^:*$]{1,255}", "InvalidParameterException: metricName '{value}'"),
            matches(
                "metricTransformation.namespace",
                r"[^:*$]{1,255}",
                "InvalidParameterException: metricNamespace '{value}' must match [^:*$]*",
            ),
            # Sources: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CreateMetricFilterProcedure.html and, of
            # the message, https://github.com/aws-solutions-library-samples/guidance-for-claude-code-with-amazon-bedrock/pull/632
            refuse_when(
                lambda request: all(
                    request.get(f"metricTransformation.{name}") not in (None, UNKNOWN)
                    for name in ("dimensions", "defaultValue")
                ),
                "InvalidParameterException: Invalid metric transformation: dimensions and default value are mutually "
                "exclusive properties",
            ),
        ),
        state_rules=(
            # Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutMetricFilter.html
            require_existing(
                "logGroupName", LOG_GROUP, "ResourceNotFoundException: The specified log group does not exist."
            ),
        ),
    ),
    # Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutQueryDefinition.html
    ResourceModel(
        "aws:cloudwatch/queryDefinition:QueryDefinition",
        id="{uuid}",
        name_path="name",
        outputs={"queryDefinitionId": "{id}"},
        required=("queryString",),
        defaults=auto_named(prefix_path=""),
        transitions=UNRESTRICTED,
        rules=(
            matches("name", r".{1,255}", "InvalidParameterException: the name must have 1 to 255 characters"),
            # Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutQueryDefinition.html
            matches(
                "queryString",
                r"(?s).{1,10000}",
                "InvalidParameterException: queryString must have 1 to 10000 characters of a query",
            ),
        ),
    ),
    # Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
    ResourceModel(
        "aws:cloudwatch/dashboard:Dashboard",
        id="{dashboardName}",
        outputs={"dashboardArn": "arn:aws:cloudwatch::{account}:dashboard/{dashboardName}"},
        required=("dashboardBody",),
        defaults=auto_named("dashboardName", prefix_path=""),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/cloudwatch/dashboard.go
        replace_on_changes=("dashboardName",),
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
            matches(
                "dashboardName",
                r"[A-Za-z0-9_-]{1,255}",
                "InvalidParameterInput: The value {value} for field DashboardName contains invalid characters. It "
                "can only contain alphanumerics, dash (-) and underscore (_).",
            ),
            _check_dashboard_body,
        ),
    ),
)
