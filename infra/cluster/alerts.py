"""The rules of platform/alerts as PrometheusRules, with links to this stack's dashboards and runbooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.cluster.namespaces import MONITORING
from infra.core.component import Component, StackContext
from infra.people import Service

_FOLDER = Path(__file__).resolve().parents[2] / "platform" / "alerts"
_TESTS = "_test.yaml"  # beside the rules that they test
_RUNBOOKS = "platform/runbooks"


@dataclass(frozen=True)
class AlertsArgs:
    context: StackContext


class Alerts(Component):
    """One PrometheusRule for each file, and one with the limits that the rules take from this stack's settings."""

    layer = "cluster"

    def __init__(self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._context = args.context
        for path in list_rule_files():
            groups = yaml.safe_load(path.read_text())["groups"]
            self._create_rule(path.stem, [self._link(group) for group in groups])
        self._create_rule("stack", [{"name": "settings", "rules": list(self._record_settings())}])
        self.register_outputs({})

    def _create_rule(self, name: str, groups: Sequence[Mapping[str, Any]]) -> None:
        CustomResource(
            f"alerts-{name}",
            api_version="monitoring.coreos.com/v1",
            kind="PrometheusRule",
            metadata=ObjectMetaArgs(name=f"groundwork-{name}", namespace=MONITORING),
            spec={"groups": groups},
            opts=self.child_options(),
        )

    def _record_settings(self) -> Iterator[Mapping[str, Any]]:
        for section, pool in self._context.settings.cluster.list_pools().items():
            labels = {"label_groundwork_pool": section.removesuffix("Pool")}
            yield {"record": "groundwork_node_pool_maximum_nodes", "expr": f"vector({pool.maximum})", "labels": labels}
        repositories = 1 if self._context.settings.gitops.repository else 0
        yield {"record": "groundwork_gitops_repositories", "expr": f"vector({repositories})"}

    def _link(self, group: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**group, "rules": [self._link_rule(rule) for rule in group["rules"]]}

    def _link_rule(self, rule: Mapping[str, Any]) -> Mapping[str, Any]:
        """Replace paths in a rule's annotations by URLs."""
        if "annotations" not in rule:
            return rule
        annotations = dict(rule["annotations"])
        annotations["dashboard"] = f"https://{Service.GRAFANA}.{self._context.naming.domain}{annotations['dashboard']}"
        if base := self._context.settings.alerting.runbooks:
            annotations["runbook"] = annotations["runbook"].replace(_RUNBOOKS, base.rstrip("/"), 1)
        return {**rule, "annotations": annotations}


def list_rule_files() -> Sequence[Path]:
    """The files with rules, which Prometheus reads as they are."""
    return [path for path in sorted(_FOLDER.glob("*.yaml")) if not path.name.endswith(_TESTS)]
