"""The dashboards of platform/dashboards: ConfigMaps, which Grafana's sidecar reads."""

from __future__ import annotations

from pathlib import Path

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.cluster.namespaces import MONITORING
from infra.core.component import Component

_FOLDER = Path(__file__).resolve().parents[2] / "platform" / "dashboards"


class Dashboards(Component):
    """A ConfigMap for each dashboard. `make observability` generates the files."""

    layer = "cluster"

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        for path in sorted(_FOLDER.glob("*.json")):
            dashboard = f"dashboard-{path.stem}"
            ConfigMap(
                dashboard,
                metadata=ObjectMetaArgs(name=dashboard, namespace=MONITORING, labels={"grafana_dashboard": "1"}),
                data={path.name: path.read_text()},
                opts=self.child_options(),
            )
        self.register_outputs({})
