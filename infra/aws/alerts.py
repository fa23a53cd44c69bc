"""Alerts of the cloud itself, for failures that Prometheus cannot report because the cluster is affected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch

from infra.aws.audit import Audit
from infra.aws.cluster import Cluster
from infra.aws.database import Database
from infra.aws.network import Network
from infra.aws.observability import Observability
from infra.core.component import Component, StackContext

_PERIOD = 300  # seconds
_PERIODS = 3  # a quarter of an hour
_GIB = 1024**3


@dataclass(frozen=True)
class MetricCondition:
    """When a metric, over some periods of some seconds, raises an alert, and whether missing data does."""

    namespace: str
    metric: str
    statistic: str
    operator: str
    threshold: float
    dimensions: Mapping[str, pulumi.Input[str]]
    periods: int = _PERIODS
    period: int = _PERIOD
    missing_data: str = "notBreaching"


@dataclass(frozen=True)
class AlertsArgs:
    context: StackContext
    network: Network
    observability: Observability
    database: Database
    cluster: Cluster
    audit: Audit


class Alerts(Component):
    """Alarms on metrics and on logs; nothing without a receiver."""

    layer = "aws"

    def __init__(self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        if args.observability.alert_receivers:
            self._watch_database()
            self._watch_secrets()
            self._watch_network()
            self._watch_cluster()
        else:
            self.warn(
                "The cloud's own alerts, which report cluster failures, are not created: nobody would receive them. "
                "Set telemetry.alertEmail."
            )
        self.register_outputs({})

    def _watch_database(self) -> None:
        """Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-metrics.html"""
        database = {"DBInstanceIdentifier": self._args.database.identifier}
        # A running server sends its metrics every minute.
        self._create_metric_alert(
            "database-down",
            "MLflow's database does not respond",
            MetricCondition(
                "AWS/RDS", "CPUUtilization", "SampleCount", "LessThanThreshold", 1, database, missing_data="breaching"
            ),
        )
        self._create_metric_alert(
            "database-busy",
            "MLflow's database has been busy for a quarter of an hour",
            MetricCondition("AWS/RDS", "CPUUtilization", "Average", "GreaterThanThreshold", 80, database),
        )
        tenth = self._args.context.settings.database.storage_gb * _GIB / 10
        self._create_metric_alert(
            "database-disk-filling",
            "The disk of MLflow's database is almost full, and has not grown automatically: raise database.storageGb",
            MetricCondition("AWS/RDS", "FreeStorageSpace", "Minimum", "LessThanThreshold", tenth, database),
        )
        # The server's messages: https://github.com/postgres/postgres/blob/master/src/backend/storage/lmgr/proc.c
        self._create_log_alert(
            "database-connections-refused",
            "MLflow's database has reached its maximum number of connections, and refuses more",
            self._args.database.log_group,
            '?"too many clients already" ?"remaining connection slots are reserved"',
        )

    def _watch_secrets(self) -> None:
        """Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieve-ct-entries.html"""
        prefix = self._args.context.naming.prefix
        self._create_log_alert(
            "secrets-unavailable",
            "Requests for the stack's secrets fail or are denied by Secrets Manager",
            self._args.audit.trail_log_group,
            '{ ($.eventSource = "secretsmanager.amazonaws.com") && ($.eventName = "GetSecretValue") && '
            f'($.errorCode = "*") && ($.errorCode != "ResourceNotFoundException") && '
            f'($.requestParameters.secretId = "*{prefix}/*") }}',
        )

    def _watch_network(self) -> None:
        """Source: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-nat-gateway-cloudwatch.html"""
        for number, gateway in enumerate(self._args.network.nat_gateways, start=1):
            self._create_metric_alert(
                "nat-ports-exhausted",
                "Connections to the internet fail, because the NAT gateway has no free ports",
                MetricCondition(
                    "AWS/NATGateway",
                    "ErrorPortAllocation",
                    "Sum",
                    "GreaterThanThreshold",
                    0,
                    {"NatGatewayId": gateway},
                    periods=1,
                ),
                suffix=f"-{number}",
            )

    def _watch_cluster(self) -> None:
        """Source: https://docs.aws.amazon.com/eks/latest/userguide/cloudwatch.html"""
        cluster = {"ClusterName": self._args.cluster.name}
        self._create_share_alert(
            "api-server-errors",
            "More than 5 % of the requests to the Kubernetes API server fail",
            ("apiserver_request_total_5XX", "apiserver_request_total"),
            cluster,
            threshold=5,
        )
        self._create_metric_alert(
            "pods-unschedulable",
            "Pods have been unschedulable for a quarter of an hour",
            # Only the sum is valid; for a state, it is the state within a minute.
            MetricCondition(
                "AWS/EKS",
                "scheduler_pending_pods_UNSCHEDULABLE",
                "Sum",
                "GreaterThanThreshold",
                0,
                cluster,
                periods=15,
                period=60,
            ),
        )

    def _create_metric_alert(self, alert: str, description: str, condition: MetricCondition, suffix: str = "") -> None:
        cloudwatch.MetricAlarm(
            f"{self._name}-{alert}{suffix}",
            name=self._args.context.naming.regional_name(f"{alert}{suffix}", limit=255),
            alarm_description=description,
            namespace=condition.namespace,
            metric_name=condition.metric,
            dimensions=condition.dimensions,
            statistic=condition.statistic,
            comparison_operator=condition.operator,
            threshold=condition.threshold,
            period=condition.period,
            evaluation_periods=condition.periods,
            treat_missing_data=condition.missing_data,
            alarm_actions=self._args.observability.alert_receivers,
            ok_actions=self._args.observability.alert_receivers,
            tags=self._args.context.naming.tags,
            opts=self.child_options(),
        )

    def _create_share_alert(
        self,
        alert: str,
        description: str,
        metrics: tuple[str, str],
        dimensions: Mapping[str, pulumi.Input[str]],
        threshold: float,
    ) -> None:
        """An alarm on one metric as a percentage of another."""
        cloudwatch.MetricAlarm(
            f"{self._name}-{alert}",
            name=self._args.context.naming.regional_name(alert, limit=255),
            alarm_description=description,
            metric_queries=[
                cloudwatch.MetricAlarmMetricQueryArgs(
                    id="share", expression="100 * part / whole", label="%", return_data=True
                ),
                *_list_operands(metrics, dimensions),
            ],
            comparison_operator="GreaterThanThreshold",
            threshold=threshold,
            evaluation_periods=_PERIODS,
            treat_missing_data="notBreaching",
            alarm_actions=self._args.observability.alert_receivers,
            ok_actions=self._args.observability.alert_receivers,
            tags=self._args.context.naming.tags,
            opts=self.child_options(),
        )

    def _create_log_alert(self, alert: str, description: str, log_group: pulumi.Output[str], pattern: str) -> None:
        """An alarm on a metric that counts lines of a log.

        Source of the patterns: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
        """
        namespace = f"Groundwork/{self._args.context.naming.prefix}"
        cloudwatch.LogMetricFilter(
            f"{self._name}-{alert}",
            name=self._args.context.naming.regional_name(alert, limit=512),
            log_group_name=log_group,
            pattern=pattern,
            metric_transformation=cloudwatch.LogMetricFilterMetricTransformationArgs(
                name=alert, namespace=namespace, value="1", default_value="0"
            ),
            opts=self.child_options(),
        )
        self._create_metric_alert(
            alert,
            description,
            MetricCondition(namespace, alert, "Sum", "GreaterThanThreshold", 0, {}, periods=1),
        )


def _list_operands(
    metrics: tuple[str, str], dimensions: Mapping[str, pulumi.Input[str]]
) -> Sequence[cloudwatch.MetricAlarmMetricQueryArgs]:
    return [
        cloudwatch.MetricAlarmMetricQueryArgs(
            id=id_,
            metric=cloudwatch.MetricAlarmMetricQueryMetricArgs(
                namespace="AWS/EKS", metric_name=metric, stat="Sum", period=_PERIOD, dimensions=dimensions
            ),
        )
        for id_, metric in zip(("part", "whole"), metrics, strict=True)
    ]
