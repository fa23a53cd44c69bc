"""Grafana's data sources: ConfigMaps, which Grafana's sidecar reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.cluster.namespaces import MONITORING


def create_data_source(name: str, source: Mapping[str, Any], opts: pulumi.ResourceOptions) -> None:
    """Declare a data source in the form of Grafana's provisioning; Grafana itself sends the queries.

    Source: https://grafana.com/docs/grafana/latest/administration/provisioning/#data-sources
    """
    provisioned = {"apiVersion": 1, "datasources": [{"access": "proxy", "editable": False, **source}]}
    ConfigMap(
        name,
        metadata=ObjectMetaArgs(name=name, namespace=MONITORING, labels={"grafana_datasource": "1"}),
        data={f"{name}.yaml": json.dumps(provisioned)},
        opts=opts,
    )
