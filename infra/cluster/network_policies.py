"""Network policies, which deny all traffic that they do not allow.

The egress of a workload to stores follows from its row in the access table and from the foundation's endpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.core.v1 import Namespace
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from infra.access import WORKLOADS, Workload
from infra.cluster.namespaces import MONITORING, PROFILES
from infra.contract import Endpoint, Foundation
from infra.core.component import Component, StackContext

# Ports of pods and nodes. Network policies do not apply to the ports of services.
MLFLOW_PORT = 5000
_KUBELET_PORT = 10250
_NODE_EXPORTER_PORT = 9100
_OPERATOR_WEBHOOK_PORT = 10250

_Rule = Mapping[str, Any]


@dataclass(frozen=True)
class NetworkPoliciesArgs:
    context: StackContext
    foundation: Foundation
    namespaces: Mapping[str, Namespace]


class NetworkPolicies(Component):
    """In each of some namespaces: deny by default, DNS, and a policy for each kind of allowed traffic."""

    layer = "cluster"

    def __init__(self, name: str, args: NetworkPoliciesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._namespaces = args.namespaces
        for namespace in args.namespaces:
            self._create_policy(namespace, "default-deny", {"policyTypes": ["Ingress", "Egress"]})
            self._allow(namespace, "dns", egress=[_DNS])
        self._allow_monitoring(args.foundation.cluster.api, args.context.settings.network.cidr)
        self._allow_mlflow()
        for workload in WORKLOADS:
            self._allow_stores(workload, args.foundation)
        self.register_outputs({})

    def _allow_monitoring(self, api: Endpoint, nodes: str) -> None:
        """Prometheus can reach all pods, the exporters of nodes and the API server; no other namespace can reach it."""
        pods: _Rule = {"to": [{"namespaceSelector": {}}]}
        exporters = {"to": [_block(nodes)], "ports": [_tcp(_KUBELET_PORT), _tcp(_NODE_EXPORTER_PORT)]}
        self._allow(MONITORING, "scrape", egress=[pods, exporters, _to(api)])
        self._allow(MONITORING, "within", ingress=[{"from": [{"podSelector": {}}]}])
        # The API server, which calls the operator's admission webhook, is outside the pod network.
        webhook = {"from": _blocks(api.cidrs), "ports": [_tcp(_OPERATOR_WEBHOOK_PORT)]}
        operator = {"matchLabels": {"app": "kube-prometheus-stack-operator"}}
        self._allow(MONITORING, "webhook", ingress=[webhook], pods=operator)
        for namespace in PROFILES:
            if namespace != MONITORING:
                self._allow(namespace, "scraped", ingress=[{"from": [_namespace(MONITORING)]}])

    def _allow_mlflow(self) -> None:
        """The clients of the tracking server."""
        callers = list(dict.fromkeys(workload.namespace for workload in WORKLOADS if workload.calls_mlflow))
        clients = {"from": [_namespace(caller) for caller in callers], "ports": [_tcp(MLFLOW_PORT)]}
        self._allow("mlflow", "clients", ingress=[clients])
        server = {"to": [_namespace("mlflow")], "ports": [_tcp(MLFLOW_PORT)]}
        for caller in callers:
            self._allow(caller, "mlflow", egress=[server])

    def _allow_stores(self, workload: Workload, foundation: Foundation) -> None:
        """Egress of a workload to the stores in its row of the access table, and to its token endpoint."""
        endpoints = [foundation.endpoints[store] for store in workload.needs]
        token = foundation.identities[workload.name].token_endpoint
        if token:
            endpoints.append(token)
        if not endpoints:
            return
        pods = {"matchLabels": dict(workload.pod_labels)} if workload.pod_labels else None
        egress = [_to(endpoint) for endpoint in endpoints]
        self._allow(workload.namespace, f"{workload.name}-stores", egress=egress, pods=pods)

    def _allow(
        self,
        namespace: str,
        name: str,
        *,
        ingress: Sequence[_Rule] = (),
        egress: Sequence[_Rule] = (),
        pods: _Rule | None = None,
    ) -> None:
        directions = {"Ingress": ingress, "Egress": egress}
        rules = {direction.lower(): list(rules) for direction, rules in directions.items() if rules}
        types = [direction for direction, rules in directions.items() if rules]
        self._create_policy(namespace, name, {**rules, "policyTypes": types, "podSelector": pods or {}})

    def _create_policy(self, namespace: str, name: str, spec: _Rule) -> None:
        if namespace not in self._namespaces:  # those of its traffic that are in others have a component of their own
            return
        NetworkPolicy(
            f"{namespace}-{name}",
            metadata=ObjectMetaArgs(name=name, namespace=namespace),
            spec={"podSelector": {}, **spec},
            # Policies need their namespace, which a first deployment creates in the same update.
            opts=self.child_options(depends_on=[self._namespaces[namespace]]),
        )


def _tcp(port: int) -> _Rule:
    return {"port": port, "protocol": "TCP"}


def _namespace(name: str) -> _Rule:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _block(cidr: str) -> _Rule:
    return {"ipBlock": {"cidr": cidr}}


def _blocks(cidrs: pulumi.Input[Sequence[str]]) -> pulumi.Output[list[_Rule]]:
    return pulumi.Output.from_input(cidrs).apply(lambda known: [_block(cidr) for cidr in known])


def _to(endpoint: Endpoint) -> _Rule:
    return {"to": _blocks(endpoint.cidrs), "ports": [_tcp(endpoint.port)]}


_DNS: _Rule = {
    "to": [_namespace("kube-system")],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}
