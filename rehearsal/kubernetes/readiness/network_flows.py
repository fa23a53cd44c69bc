"""The connections that a cluster's workloads need, and those that its network policies block.

The needs are derived from the objects in the cluster, not from the intentions behind the policies: monitors and their
targets, webhooks and APIServices, permissions for the API, addresses of Services in environment variables, arguments
and ConfigMaps, sources of pods' credentials, the repositories of Argo CD's Applications, and DNS.

Connections to addresses that processes read elsewhere, from a Secret or the API, are not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness import monitors
from rehearsal.kubernetes.readiness.label_selectors import labels_of
from rehearsal.kubernetes.readiness.network_policies import Decision, End, EndKind, Engine, NetworkPolicies
from rehearsal.kubernetes.readiness.pod_texts import list_texts
from rehearsal.kubernetes.readiness.problem import Problem, describe_object
from rehearsal.kubernetes.readiness.services import Target, list_running_pods, list_selected_pods, list_targets
from rehearsal.kubernetes.readiness.snapshot import Snapshot

_WEBHOOK_KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_API_SERVICE = ("default", "kubernetes")  # the Service of the API server
_API_PORT = 443
_DNS = {"k8s-app": "kube-dns"}
_DNS_PORT = 53
_DEFAULT_PORTS = {"http": 80, "https": 443, "ssh": 22, "git": 9418}
# Environment variables that the clouds' webhooks inject: the URLs from which a pod gets its credentials.
_CREDENTIALS = ("AZURE_AUTHORITY_HOST", "AWS_CONTAINER_CREDENTIALS_FULL_URI")

# An address with a scheme, a port, or both: `http://api`, `api.shop:8080`, `grpc://api.shop.svc.cluster.local:8080`.
_ADDRESS = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+]*)://(?:[^\s/@]*@)?)?(?<![\w.-])(?P<host>[a-z][a-z0-9.-]*[a-z0-9])(?::(?P<port>\d{2,5}))?"
)


@dataclass(frozen=True)
class ClusterNetwork:
    """The engine that enforces policies in a cluster, and the addresses of its API server.

    api_clients  addresses from which the API server calls webhooks, in CIDR notation
    api_servers  addresses at which pods reach the API server, before and after the Service's address is translated
    tunnel       labels of pods in kube-system through which webhooks may be called; empty if there are none
    """

    engine: Engine
    api_clients: tuple[str, ...] = ()
    api_servers: tuple[str, ...] = ()
    tunnel: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Flow:
    """A connection that a client in the cluster needs.

    client, server  for messages: `Deployment monitoring/grafana`
    """

    client: str
    server: str
    client_end: End
    server_end: End
    port: int
    reason: str
    protocol: str = "TCP"


@dataclass(frozen=True)
class EvaluatedFlow:
    flow: Flow
    egress: Decision
    ingress: Decision

    @property
    def is_allowed(self) -> bool:
        return self.egress.is_allowed and self.ingress.is_allowed


def find_problems(snapshot: Snapshot, network: ClusterNetwork) -> list[Problem]:
    """The required connections that network policies block."""
    return [_describe_blocked(found) for found in evaluate_flows(snapshot, network) if not found.is_allowed]


def evaluate_flows(snapshot: Snapshot, network: ClusterNetwork) -> list[EvaluatedFlow]:
    """Every required connection, and the policies that allow it; one for all pods of a workload."""
    policies = NetworkPolicies(snapshot, network.engine)
    flows = {
        (flow.client, flow.server, flow.port, flow.protocol): flow for flow in _Needs(snapshot, network).list_all()
    }
    return [
        EvaluatedFlow(
            flow,
            policies.decide_egress(flow.client_end, flow.server_end, flow.port, flow.protocol),
            policies.decide_ingress(flow.client_end, flow.server_end, flow.port, flow.protocol),
        )
        for flow in flows.values()
    ]


def format_table(evaluated: Iterable[EvaluatedFlow], engine: Engine) -> str:
    """The flows as a table in Markdown."""
    cells = sorted(
        (
            found.flow.client,
            found.flow.server,
            f"{found.flow.port}/{found.flow.protocol}",
            found.flow.reason,
            _allowed_by(found),
        )
        for found in evaluated
    )
    rows = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([f"| from | to | port | why | allowed by, with {engine} |", "|---|---|---|---|---|", *rows])


def _list_cells(found: EvaluatedFlow) -> tuple[str, ...]:
    flow = found.flow
    return flow.client, flow.server, f"{flow.port}/{flow.protocol}", flow.reason, _allowed_by(found)


def _allowed_by(found: EvaluatedFlow) -> str:
    if not found.is_allowed:
        return "**blocked**"
    by = [
        f"{side} {decision.policy}"
        for side, decision in (("out:", found.egress), ("in:", found.ingress))
        if decision.policy
    ]
    return ", ".join(by) or "no policy applies"


def _describe_blocked(found: EvaluatedFlow) -> Problem:
    flow = found.flow
    sides = ((found.egress, "egress", flow.client), (found.ingress, "ingress", flow.server))
    blocked = " and ".join(f"{direction} of {side}" for decision, direction, side in sides if not decision.is_allowed)
    reason = f"network policies block its connection to {flow.server}, port {flow.port} ({flow.reason})"
    return Problem(flow.client, reason, f"allow the {blocked}")


class _Needs:
    """Derives the required connections from a cluster's objects."""

    def __init__(self, snapshot: Snapshot, network: ClusterNetwork) -> None:
        self._snapshot = snapshot
        self._network = network
        self._pods = list(list_running_pods(snapshot))
        self._node_addresses = {
            address["address"]
            for node in snapshot.list("v1", "Node")
            for address in node.get("status", {}).get("addresses", ())
        }

    def list_all(self) -> Iterator[Flow]:
        yield from self._list_scrapes()
        yield from self._list_calls_of_the_api_server()
        yield from self._list_calls_to_the_api_server()
        yield from self._list_addressed_services()
        yield from self._list_credentials()
        yield from self._list_repositories()
        yield from self._list_dns()

    def _list_scrapes(self) -> Iterator[Flow]:
        for scrape in monitors.list_scrapes(self._snapshot):
            for prometheus in monitors.list_selecting(self._snapshot, scrape.monitor):
                yield from self._connect(
                    self._pods_of_prometheus(prometheus), scrape.target, f"{describe_object(scrape.monitor)}"
                )

    def _pods_of_prometheus(self, prometheus: Object) -> list[Object]:
        name, namespace = prometheus["metadata"]["name"], prometheus["metadata"]["namespace"]
        return [
            pod
            for pod in self._pods
            if pod["metadata"]["namespace"] == namespace and labels_of(pod).get("operator.prometheus.io/name") == name
        ]

    def _list_calls_of_the_api_server(self) -> Iterator[Flow]:
        for reason, reference in self._list_callbacks():
            service = self._snapshot.get("v1", "Service", reference["name"], reference["namespace"])
            ports = service["spec"].get("ports") or () if service else ()
            for port in ports:
                if service and port["port"] == reference.get("port", _API_PORT):
                    for target in list_targets(self._snapshot, service, port):
                        yield from self._list_calls(target, reason)

    def _list_callbacks(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The Services that the API server calls, each with the object that configures the call."""
        for kind in _WEBHOOK_KINDS:
            for configuration in self._snapshot.list("admissionregistration.k8s.io/v1", kind):
                for webhook in configuration.get("webhooks") or ():
                    if "service" in webhook["clientConfig"]:
                        yield describe_object(configuration), webhook["clientConfig"]["service"]
        for api in self._snapshot.list("apiregistration.k8s.io/v1", "APIService"):
            if api["spec"].get("service"):
                yield describe_object(api), api["spec"]["service"]

    def _list_calls(self, target: Target, reason: str) -> Iterator[Flow]:
        server, end = self._describe_target(target)
        caller = End(EndKind.API_SERVER, addresses=self._network.api_clients)
        yield Flow("API server", server, caller, end, target.port, reason)
        for pod in self._pods:
            tunnel = self._network.tunnel
            is_tunnel = (
                pod["metadata"]["namespace"] == "kube-system" and tunnel and tunnel.items() <= labels_of(pod).items()
            )
            if is_tunnel:
                yield Flow(self._describe_pod(pod), server, self._end_of(pod), end, target.port, reason)

    def _list_calls_to_the_api_server(self) -> Iterator[Flow]:
        """The connections of pods that have a token of an account with permissions."""
        bound = set(self._list_bound_accounts())
        server = End(EndKind.API_SERVER, addresses=self._network.api_servers)
        for pod in self._pods:
            account = (pod["metadata"]["namespace"], pod["spec"].get("serviceAccountName") or "default")
            has_token = any(
                "serviceAccountToken" in source and "audience" not in source["serviceAccountToken"]
                for volume in pod["spec"].get("volumes") or ()
                for source in volume.get("projected", {}).get("sources") or ()
            )
            if account in bound and has_token:
                yield Flow(
                    self._describe_pod(pod), "API server", self._end_of(pod), server, _API_PORT, "its permissions"
                )

    def _list_bound_accounts(self) -> Iterator[tuple[str, str]]:
        for kind in ("RoleBinding", "ClusterRoleBinding"):
            for binding in self._snapshot.list("rbac.authorization.k8s.io/v1", kind):
                for subject in binding.get("subjects") or ():
                    if subject["kind"] == "ServiceAccount":
                        namespace = subject.get("namespace") or binding["metadata"].get("namespace", "")
                        yield namespace, subject["name"]

    def _list_addressed_services(self) -> Iterator[Flow]:
        for pod in self._pods:
            for origin, text in list_texts(self._snapshot, pod["metadata"]["namespace"], pod["spec"]):
                for match in _ADDRESS.finditer(text):
                    port = match["port"] or _DEFAULT_PORTS.get(match["scheme"] or "")
                    service = self._find_service(match["host"], pod["metadata"]["namespace"]) if port else None
                    if service and port and pod not in list_selected_pods(self._snapshot, service):
                        yield from self._connect_to_service(pod, service, int(port), origin)

    def _find_service(self, host: str, namespace: str) -> Object | None:
        """The Service that a pod in a namespace reaches by a name; None if there is none, or it is the API server's."""
        name, *rest = host.split(".")
        place = rest[0] if rest else namespace
        if rest[1:2] not in ([], ["svc"]) or (place, name) == _API_SERVICE:
            return None
        return self._snapshot.get("v1", "Service", name, place)

    def _connect_to_service(self, pod: Object, service: Object, number: int, origin: str) -> Iterator[Flow]:
        for port in service["spec"].get("ports") or ():
            if port["port"] == number:
                for target in list_targets(self._snapshot, service, port):
                    yield from self._connect([pod], target, origin, port.get("protocol", "TCP"))

    def _list_credentials(self) -> Iterator[Flow]:
        for pod in self._pods:
            for container in pod["spec"]["containers"]:
                for variable in container.get("env") or ():
                    if variable["name"] in _CREDENTIALS and variable.get("value"):
                        yield from self._leave([pod], variable["value"], "credentials of its cloud identity")

    def _list_repositories(self) -> Iterator[Flow]:
        for application in self._snapshot.list("argoproj.io/v1alpha1", "Application"):
            spec, namespace = application["spec"], application["metadata"]["namespace"]
            servers = [
                pod
                for pod in self._pods
                if pod["metadata"]["namespace"] == namespace
                and labels_of(pod).get("app.kubernetes.io/component") == "repo-server"
            ]
            for source in (spec.get("source") or {}, *(spec.get("sources") or ())):
                yield from self._leave(servers, source.get("repoURL", ""), describe_object(application))

    def _leave(self, pods: Iterable[Object], url: str, reason: str) -> Iterator[Flow]:
        """Connections of pods to servers outside of the cluster."""
        address = urlsplit(url)
        port = address.port or _DEFAULT_PORTS.get(address.scheme)
        if not address.hostname or not port or address.hostname.endswith((".svc", ".cluster.local")):
            return
        is_address = re.fullmatch(r"[\d.]+", address.hostname)
        end = End(EndKind.OUTSIDE, addresses=(f"{address.hostname}/32",) if is_address else ())
        for pod in pods:
            yield Flow(self._describe_pod(pod), address.hostname, self._end_of(pod), end, port, reason)

    def _list_dns(self) -> Iterator[Flow]:
        servers = [
            pod
            for pod in self._pods
            if pod["metadata"]["namespace"] == "kube-system" and _DNS.items() <= labels_of(pod).items()
        ]
        for pod in self._pods:
            if servers and pod["spec"].get("dnsPolicy", "ClusterFirst") == "ClusterFirst" and pod not in servers:
                for protocol in ("UDP", "TCP"):
                    yield from self._connect([pod], Target(servers[0], "", _DNS_PORT), "DNS", protocol)

    def _connect(self, clients: Iterable[Object], target: Target, reason: str, protocol: str = "TCP") -> Iterator[Flow]:
        server, end = self._describe_target(target)
        for pod in clients:
            yield Flow(self._describe_pod(pod), server, self._end_of(pod), end, target.port, reason, protocol)

    def _describe_target(self, target: Target) -> tuple[str, End]:
        if target.pod:
            return self._describe_pod(target.pod), self._end_of(target.pod)
        if target.address in self._node_addresses:
            return "nodes", End(EndKind.NODE, addresses=(f"{target.address}/32",))
        if f"{target.address}/32" in self._network.api_servers:
            return "API server", End(EndKind.API_SERVER, addresses=self._network.api_servers)
        return target.address, End(EndKind.OUTSIDE, addresses=(f"{target.address}/32",))

    def _end_of(self, pod: Object) -> End:
        if not pod["spec"].get("hostNetwork"):
            return End(EndKind.POD, pod)
        address = pod.get("status", {}).get("hostIP")
        return End(EndKind.NODE, addresses=(f"{address}/32",) if address else ())

    def _describe_pod(self, pod: Object) -> str:
        return describe_object(self._snapshot.find_workload(pod))
