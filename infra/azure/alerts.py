"""Alerts of the cloud itself, for failures that Prometheus cannot report because the cluster is affected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import monitor

from infra.azure.cluster import Cluster
from infra.azure.database import Database
from infra.azure.network import Network
from infra.azure.observability import Observability
from infra.azure.secrets import Secrets
from infra.core.component import Component, StackContext
from infra.core.query_files import read_alert_queries
from infra.core.settings import Cloud

_CRITICAL, _WARNING = 1, 2  # of Azure's severities, 0 to 4


@dataclass(frozen=True)
class MetricCondition:
    """When a metric, over a quarter of an hour, raises an alert."""

    metric: str
    aggregation: str
    operator: str
    threshold: float
    dimension: tuple[str, str] | None = None


@dataclass(frozen=True)
class AlertsArgs:
    context: StackContext
    network: Network
    observability: Observability
    secrets: Secrets
    database: Database
    cluster: Cluster


class Alerts(Component):
    """Alerts on metrics and on logs; nothing without a receiver."""

    layer = "azure"

    def __init__(self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        self._queries = read_alert_queries(Cloud.AZURE)
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
        """Source: https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-monitoring"""
        database = self._args.database.id
        self._create_metric_alert(
            "database-down",
            "MLflow's database does not respond",
            database,
            MetricCondition("is_db_alive", "Maximum", "LessThan", 1),
            _CRITICAL,
        )
        self._create_metric_alert(
            "database-busy",
            "MLflow's database has been busy for a quarter of an hour",
            database,
            MetricCondition("cpu_percent", "Average", "GreaterThan", 80),
        )
        self._create_metric_alert(
            "database-disk-filling",
            "The disk of MLflow's database is almost full, and has not grown automatically",
            database,
            MetricCondition("storage_percent", "Average", "GreaterThan", 90),
        )
        self._create_log_alert(
            "database-connections-refused",
            "MLflow's database has reached its maximum number of connections, and refuses more",
            monitor.ConditionArgs(time_aggregation="Count", operator="GreaterThan", threshold=0),
        )

    def _watch_secrets(self) -> None:
        """Source: https://learn.microsoft.com/azure/key-vault/general/alert"""
        self._create_metric_alert(
            "secrets-unavailable",
            "Requests to the vault for secrets and keys fail",
            self._args.secrets.vault_id,
            MetricCondition("Availability", "Average", "LessThan", 99),
            _CRITICAL,
        )
        self._create_log_alert(
            "key-expiry",
            "A key will expire within 30 days: its rotation has failed",
            monitor.ConditionArgs(time_aggregation="Count", operator="GreaterThan", threshold=0),
        )

    def _watch_network(self) -> None:
        """Source: https://learn.microsoft.com/azure/nat-gateway/nat-metrics"""
        self._create_metric_alert(
            "nat-ports-exhausted",
            "Connections to the internet fail, because the NAT gateway has no free ports",
            self._args.network.nat_gateway,
            MetricCondition("SNATConnectionCount", "Total", "GreaterThan", 0, ("ConnectionState", "Failed")),
            _CRITICAL,
        )

    def _watch_cluster(self) -> None:
        """Source: https://learn.microsoft.com/azure/aks/monitor-aks-reference#metrics"""
        cluster = self._args.cluster
        self._create_log_alert(
            "api-server-errors",
            "More than 5 % of the requests to the Kubernetes API server that change something fail",
            monitor.ConditionArgs(
                time_aggregation="Average", metric_measure_column="Share", operator="GreaterThan", threshold=5
            ),
            _CRITICAL,
        )
        self._create_metric_alert(
            "pods-unschedulable",
            "Pods have been unschedulable for a quarter of an hour",
            cluster.id,
            MetricCondition("cluster_autoscaler_unschedulable_pods_count", "Average", "GreaterThanOrEqual", 1),
        )
        for pool in filter(None, (*cluster.contract.node_pools, cluster.contract.gpu_pool)):
            if pool.minimum < pool.maximum:
                self._create_log_alert(
                    "node-pool-at-maximum",
                    f"The pool {pool.name} has had all of the {pool.maximum} nodes that it may have for a quarter of "
                    "an hour",
                    monitor.ConditionArgs(
                        time_aggregation="Minimum",
                        metric_measure_column="Nodes",
                        dimensions=[monitor.DimensionArgs(name="Pool", operator="Include", values=[pool.name])],
                        operator="GreaterThanOrEqual",
                        threshold=pool.maximum,
                    ),
                    suffix=f"-{pool.name}",
                )

    def _create_metric_alert(
        self,
        alert: str,
        description: str,
        scope: pulumi.Output[str],
        condition: MetricCondition,
        severity: int = _WARNING,
    ) -> None:
        naming = self._args.context.naming
        criterion = monitor.MetricCriteriaArgs(
            criterion_type="StaticThresholdCriterion",
            name=alert,
            metric_name=condition.metric,
            time_aggregation=condition.aggregation,
            operator=condition.operator,
            threshold=condition.threshold,
            dimensions=_list_dimensions(condition),
        )
        monitor.MetricAlert(
            f"{self._name}-{alert}",
            resource_group_name=self._args.network.resource_group,
            rule_name=naming.regional_name(alert, limit=260),
            location="global",
            description=description,
            severity=severity,
            enabled=True,
            auto_mitigate=True,
            scopes=[scope],
            evaluation_frequency="PT5M",
            window_size="PT15M",
            criteria=monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
                odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria", all_of=[criterion]
            ),
            actions=[
                monitor.MetricAlertActionArgs(action_group_id=group)
                for group in self._args.observability.alert_receivers
            ],
            tags=naming.tags,
            opts=self.child_options(),
        )

    def _create_log_alert(
        self,
        alert: str,
        description: str,
        condition: monitor.ConditionArgs,
        severity: int = _WARNING,
        suffix: str = "",
    ) -> None:
        naming = self._args.context.naming
        condition.query = self._queries[alert]
        condition.failing_periods = monitor.ConditionFailingPeriodsArgs(
            min_failing_periods_to_alert=1, number_of_evaluation_periods=1
        )
        monitor.ScheduledQueryRule(
            f"{self._name}-{alert}{suffix}",
            resource_group_name=self._args.network.resource_group,
            rule_name=naming.regional_name(f"{alert}{suffix}", limit=260),
            display_name=naming.regional_name(f"{alert}{suffix}", limit=260),
            kind="LogAlert",
            description=description,
            severity=severity,
            enabled=True,
            auto_mitigate=True,
            scopes=[self._args.observability.workspace_id],
            # Alerts on logs are billed by their frequency: https://azure.microsoft.com/pricing/details/monitor/
            evaluation_frequency="PT15M",
            window_size="PT15M",
            # In a new workspace, a table exists only once it has data.
            skip_query_validation=True,
            criteria=monitor.ScheduledQueryRuleCriteriaArgs(all_of=[condition]),
            actions=monitor.ActionsArgs(action_groups=list(self._args.observability.alert_receivers)),
            tags=naming.tags,
            opts=self.child_options(),
        )


def _list_dimensions(condition: MetricCondition) -> Sequence[monitor.MetricDimensionArgs]:
    if condition.dimension is None:
        return []
    name, value = condition.dimension
    return [monitor.MetricDimensionArgs(name=name, operator="Include", values=[value])]
