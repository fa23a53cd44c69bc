"""Saved queries of the cloud's logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import cloudwatch

from infra.aws.audit import Audit
from infra.aws.cluster import Cluster
from infra.aws.database import Database
from infra.aws.network import Network
from infra.core.component import Component, StackContext
from infra.core.query_files import describe_query, read_queries
from infra.core.settings import Cloud

# The log groups that each query searches: queries are billed by the data that they scan.
# Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AnalyzingLogData.html
LOG_GROUPS: Mapping[str, Sequence[str]] = {
    "ab-comparison": ("cluster",),
    "cost": ("network",),
    "errors": ("cluster", "database", "audit"),
    "model-performance": ("cluster",),
    "resources": ("cluster",),
}
_WIDTH, _HEIGHT = 12, 6  # of a widget: two in a row of the grid's 24
_PERIOD = 300  # seconds


@dataclass(frozen=True)
class QueriesArgs:
    context: StackContext
    network: Network
    database: Database
    cluster: Cluster
    audit: Audit


class Queries(Component):
    """Each query of platform/queries/aws, and a dashboard of the cloud's metrics.

    The dashboard does not include the queries: each look at it would be billed for all data that they scan.
    """

    layer = "aws"

    def __init__(self, name: str, args: QueriesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        naming = args.context.naming
        groups = {
            "cluster": args.cluster.log_group,
            "database": args.database.log_group,
            "audit": args.audit.trail_log_group,
            "network": args.audit.flow_log_group,
        }
        for query, text in read_queries(Cloud.AWS).items():
            cloudwatch.QueryDefinition(
                f"{name}-{query}",
                name=f"{naming.prefix}/{describe_query(query).replace('/', '')}",
                query_string=text,
                log_group_names=[groups[group] for group in LOG_GROUPS[query]],
                opts=self.child_options(),
            )
        cloudwatch.Dashboard(
            name,
            dashboard_name=naming.prefix,
            dashboard_body=pulumi.Output.json_dumps({"widgets": _build_widgets(args)}),
            opts=self.child_options(),
        )
        self.register_outputs({})


def _build_widgets(args: QueriesArgs) -> Sequence[Mapping[str, Any]]:
    """Source of the form: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html"""
    database = ("DBInstanceIdentifier", args.database.identifier)
    cluster = ("ClusterName", args.cluster.name)
    graphs: Sequence[tuple[str, str, Sequence[Sequence[Any]]]] = (
        ("Database: processor, %", "Average", [("AWS/RDS", "CPUUtilization", *database)]),
        ("Database: free disk, bytes", "Minimum", [("AWS/RDS", "FreeStorageSpace", *database)]),
        ("Database: connections", "Maximum", [("AWS/RDS", "DatabaseConnections", *database)]),
        (
            "API server: requests and errors",
            "Sum",
            [("AWS/EKS", metric, *cluster) for metric in ("apiserver_request_total", "apiserver_request_total_5XX")],
        ),
        (
            "Unschedulable pods, summed over each minute",
            "Sum",
            [("AWS/EKS", "scheduler_pending_pods_UNSCHEDULABLE", *cluster)],
        ),
        (
            "NAT gateways: connections, and connections refused for lack of a port",
            "Sum",
            [
                ("AWS/NATGateway", metric, "NatGatewayId", gateway)
                for gateway in args.network.nat_gateways
                for metric in ("ConnectionAttemptCount", "ErrorPortAllocation")
            ],
        ),
    )
    region = args.context.settings.location
    return [
        {
            "type": "metric",
            "x": _WIDTH * (number % 2),
            "y": _HEIGHT * (number // 2),
            "width": _WIDTH,
            "height": _HEIGHT,
            "properties": {
                "title": title,
                "region": region,
                "stat": statistic,
                "period": _PERIOD,
                "metrics": metrics,
            },
        }
        for number, (title, statistic, metrics) in enumerate(graphs)
    ]
