"""Required and blocked connections, tested with objects in memory and the semantics of each engine.

Proves that each kind of required connection is found, and what address blocks select in each engine. That the engines
themselves behave like this is not proven here: their documentation is the source.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness import monitors
from rehearsal.kubernetes.readiness.network_flows import (
    ClusterNetwork,
    EvaluatedFlow,
    evaluate_flows,
    find_problems,
    format_table,
)
from rehearsal.kubernetes.readiness.network_policies import Engine
from rehearsal.kubernetes.readiness.services import list_departed
from rehearsal.kubernetes.readiness.snapshot import Snapshot
from tests.support.objects_in_memory import FakeApiClient

VPC_CNI = ClusterNetwork(Engine.VPC_CNI, ("10.0.0.0/20",), ("172.20.0.1/32",))
CILIUM = ClusterNetwork(Engine.CILIUM, tunnel={"app": "tunnel"})


def build(api_version: str, kind: str, name: str, namespace: str = "shop", labels: Any = None, **fields: Any) -> Object:
    metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def pod(name: str, namespace: str = "shop", labels: Any = None, container: Any = None, **spec: Any) -> Object:
    containers = [{"name": "main", "ports": [{"name": "http", "containerPort": 8080}], **(container or {})}]
    labels = {"app": name, **(labels or {})}
    return build("v1", "Pod", name, namespace, labels, spec={"dnsPolicy": "Default", "containers": containers, **spec})


def service(name: str, namespace: str = "shop") -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    return build("v1", "Service", name, namespace, {"app": name}, spec={"selector": {"app": name}, "ports": ports})


def policy(name: str, namespace: str = "shop", **spec: Any) -> Object:
    return build("networking.k8s.io/v1", "NetworkPolicy", name, namespace, spec={"podSelector": {}, **spec})


def cilium_policy(name: str, namespace: str = "shop", **spec: Any) -> Object:
    return build("cilium.io/v2", "CiliumNetworkPolicy", name, namespace, spec={"endpointSelector": {}, **spec})


def deny(namespace: str = "shop") -> Object:
    return policy("deny", namespace, policyTypes=["Ingress", "Egress"])


def evaluate(network: ClusterNetwork, *objects: Object) -> list[EvaluatedFlow]:
    return evaluate_flows(Snapshot(FakeApiClient(NAMESPACE, *objects)), network)


NAMESPACE: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
URL = {"env": [{"name": "API", "value": "http://api.shop.svc.cluster.local/v1"}]}
CLIENT, SERVER = pod("web", container=URL), pod("api")
WEBHOOK = build(
    "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration",
    "checks",
    webhooks=[{"name": "a", "clientConfig": {"service": {"name": "api", "namespace": "shop", "port": 80}}}],
)
NODE: Object = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "n"},
    "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.5"}]},
}
TO_API = {"to": [{"podSelector": {"matchLabels": {"app": "api"}}}], "ports": [{"port": 8080}]}


def test_an_address_in_a_variable_needs_both_ends_open() -> None:
    objects = (CLIENT, SERVER, service("api"))
    (found,) = evaluate(VPC_CNI, *objects)
    assert (found.flow.client, found.flow.server, found.flow.port) == ("Pod shop/web", "Pod shop/api", 8080)
    assert found.is_allowed
    (found,) = evaluate(VPC_CNI, *objects, deny())
    assert not found.egress.is_allowed
    assert not found.ingress.is_allowed
    (found,) = evaluate(VPC_CNI, *objects, deny(), policy("out", policyTypes=["Egress"], egress=[TO_API]))
    assert found.egress.policy == "NetworkPolicy out"
    assert not found.ingress.is_allowed


def test_the_port_of_a_service_is_not_that_of_its_pods() -> None:
    wrong = {**TO_API, "ports": [{"port": 80}]}
    (found,) = evaluate(VPC_CNI, CLIENT, SERVER, service("api"), policy("out", policyTypes=["Egress"], egress=[wrong]))
    assert not found.egress.is_allowed


@pytest.mark.parametrize(
    "container",
    [
        {"args": ["--api=http://api.shop.svc:80"]},
        {"args": ["--api", "api:80"]},
        {"command": ["serve", "http://user@api.shop"]},
        {"envFrom": [{"configMapRef": {"name": "c"}}]},
    ],
)
def test_addresses_are_read_from_arguments_and_config_maps(container: Any) -> None:
    settings = build("v1", "ConfigMap", "c", data={"url": "http://api.shop.svc"})
    (found,) = evaluate(VPC_CNI, pod("web", container=container), SERVER, service("api"), settings)
    assert found.flow.server == "Pod shop/api"


def test_addresses_of_a_job_that_a_process_creates_from_a_config_map_are_the_jobs() -> None:
    container = {"name": "main", "args": ["http://api.shop.svc"]}
    job = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": {"containers": [container]}}}}
    template = build("v1", "ConfigMap", "c", data={"job.yaml": json.dumps(job)})
    reader = pod("web", container={"envFrom": [{"configMapRef": {"name": "c"}}]})
    assert evaluate(VPC_CNI, reader, SERVER, service("api"), template) == []


@pytest.mark.parametrize("text", ["api", "api:81", "https://api.example.com", "http://other.shop", "my-api:80"])
def test_a_text_that_is_not_an_address_of_a_service_is_not_a_connection(text: str) -> None:
    assert evaluate(VPC_CNI, pod("web", container={"args": [text]}), SERVER, service("api")) == []


@pytest.mark.parametrize("name", ["PROMOTION_WEBHOOK_URL", "OAUTH_REDIRECT_URI", "GF_SERVER_ROOT_URL"])
def test_the_address_at_which_others_reach_a_process_is_not_a_connection_of_it(name: str) -> None:
    variable = {"name": name, "value": "http://api.shop.svc"}
    assert evaluate(VPC_CNI, pod("web", container={"env": [variable]}), SERVER, service("api")) == []


def test_a_problem_names_both_ends_the_port_and_the_side() -> None:
    snapshot = Snapshot(FakeApiClient(NAMESPACE, CLIENT, SERVER, service("api"), policy("in", policyTypes=["Ingress"])))
    (problem,) = find_problems(snapshot, VPC_CNI)
    assert problem.message == (
        "Pod shop/web: network policies block its connection to Pod shop/api, port 8080 (its variable API). "
        "Remedy: allow the ingress of Pod shop/api"
    )


@pytest.mark.parametrize(
    ("cidr", "is_allowed"), [("10.0.0.0/16", True), ("10.0.0.0/24", False)], ids=["all subnets", "some addresses"]
)
def test_with_the_vpc_cni_calls_of_webhooks_come_from_subnets(cidr: str, is_allowed: bool) -> None:
    allow = policy("in", policyTypes=["Ingress"], ingress=[{"from": [{"ipBlock": {"cidr": cidr}}]}])
    (found,) = evaluate(VPC_CNI, SERVER, service("api"), WEBHOOK, allow)
    assert found.flow.client == "API server"
    assert found.is_allowed is is_allowed


def test_with_cilium_an_address_block_selects_neither_nodes_nor_the_api_server() -> None:
    everywhere = policy("in", policyTypes=["Ingress"], ingress=[{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}])
    (found,) = evaluate(CILIUM, SERVER, service("api"), WEBHOOK, everywhere)
    assert not found.is_allowed
    entity = cilium_policy(
        "in", ingress=[{"fromEntities": ["kube-apiserver"], "toPorts": [{"ports": [{"port": "8080"}]}]}]
    )
    (found,) = evaluate(CILIUM, SERVER, service("api"), WEBHOOK, everywhere, entity)
    assert found.ingress.policy == "CiliumNetworkPolicy in"


def test_a_call_through_the_tunnel_comes_from_its_pods() -> None:
    tunnel = pod("tunnel", "kube-system")
    entity = cilium_policy("in", ingress=[{"fromEntities": ["kube-apiserver"]}])
    direct, by_tunnel = evaluate(CILIUM, SERVER, tunnel, service("api"), WEBHOOK, entity)
    assert direct.is_allowed
    assert by_tunnel.flow.client == "Pod kube-system/tunnel"
    assert not by_tunnel.is_allowed


@pytest.mark.parametrize(
    ("network", "egress", "is_allowed"),
    [
        (VPC_CNI, policy("out", policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]), True),
        (CILIUM, policy("out", policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]), False),
        (CILIUM, cilium_policy("out", egress=[{"toEntities": ["host", "remote-node"]}]), True),
        (CILIUM, cilium_policy("out", egress=[{"toEntities": ["world"]}]), False),
    ],
)
def test_prometheus_reaches_pods_in_the_network_of_nodes(
    network: ClusterNetwork, egress: Object, is_allowed: bool
) -> None:
    exporter = {**pod("exporter", hostNetwork=True), "status": {"hostIP": "10.0.0.5"}}
    prometheus = build(
        monitors.API, "Prometheus", "main", spec={"podMonitorSelector": {}, "podMonitorNamespaceSelector": {}}
    )
    monitor = build(
        monitors.API,
        "PodMonitor",
        "exporter",
        spec={"selector": {"matchLabels": {"app": "exporter"}}, "podMetricsEndpoints": [{"port": "http"}]},
    )
    scraper = pod("prometheus", labels={"operator.prometheus.io/name": "main"})
    (found,) = evaluate(network, NODE, exporter, prometheus, monitor, scraper, egress)
    assert (found.flow.client, found.flow.server) == ("Pod shop/prometheus", "Pod shop/exporter")
    assert found.is_allowed is is_allowed


def kubelet_objects(*addresses: Any) -> list[Object]:
    """The kubelets' Service as the Prometheus operator writes it, and a Prometheus that scrapes them."""
    return [
        build(
            "v1", "Service", "kubelet", labels={"app": "kubelet"}, spec={"ports": [{"name": "https", "port": 10250}]}
        ),
        build(
            "v1",
            "Endpoints",
            "kubelet",
            subsets=[{"addresses": addresses, "ports": [{"name": "https", "port": 10250}]}],
        ),
        build(
            monitors.API,
            "Prometheus",
            "main",
            spec={"serviceMonitorSelector": {}, "serviceMonitorNamespaceSelector": {}},
        ),
        build(
            monitors.API,
            "ServiceMonitor",
            "kubelet",
            spec={"selector": {"matchLabels": {"app": "kubelet"}}, "endpoints": [{"port": "https"}]},
        ),
        pod("prometheus", labels={"operator.prometheus.io/name": "main"}),
        cilium_policy("out", egress=[{"toEntities": ["host", "remote-node"]}]),
    ]


def address_of(kind: str, name: str, ip: str) -> Any:
    return {"ip": ip, "targetRef": {"kind": kind, "name": name, "namespace": "shop" if kind == "Pod" else ""}}


@pytest.mark.parametrize(
    "gone",
    [address_of("Node", "old", "10.0.0.9"), address_of("Node", "n", "10.0.0.9"), address_of("Pod", "old", "10.0.0.9")],
    ids=["the node is gone", "a node of the same name came", "the pod is gone"],
)
@pytest.mark.parametrize(
    "there", [[], [address_of("Node", "n", "10.0.0.5")]], ids=["alone", "beside one that is there"]
)
def test_departed_addresses_are_not_checked_and_are_noted(gone: Any, there: list[Any]) -> None:
    snapshot = Snapshot(FakeApiClient(NAMESPACE, NODE, *kubelet_objects(gone, *there)))
    assert find_problems(snapshot, CILIUM) == []
    assert [found.flow.server for found in evaluate_flows(snapshot, CILIUM)] == ["nodes"] * len(there)
    assert monitors.find_problems(snapshot) == []
    assert list_departed(snapshot) == [
        "Service shop/kubelet still lists addresses that no node or pod has any more; connections to them were not "
        "checked: 10.0.0.9"
    ]


def test_addresses_that_somebody_wrote_by_hand_are_outside() -> None:
    snapshot = Snapshot(FakeApiClient(NAMESPACE, NODE, *kubelet_objects({"ip": "192.0.2.7"})))
    (problem,) = find_problems(snapshot, CILIUM)
    assert "its connection to 192.0.2.7, port 10250" in problem.message
    assert list_departed(snapshot) == []


@pytest.mark.parametrize(
    ("network", "peer", "is_allowed"),
    [
        (VPC_CNI, {"ipBlock": {"cidr": "172.20.0.1/32"}}, True),
        (VPC_CNI, {"ipBlock": {"cidr": "10.0.0.0/20"}}, False),
        (CILIUM, {"ipBlock": {"cidr": "0.0.0.0/0"}}, False),
    ],
    ids=["service address", "network interfaces alone", "cilium"],
)
def test_pods_with_permissions_reach_the_api_server(network: ClusterNetwork, peer: Any, is_allowed: bool) -> None:
    token = [{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]
    binding = build(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "operator",
        subjects=[{"kind": "ServiceAccount", "name": "operator", "namespace": "shop"}],
    )
    allow = policy("out", policyTypes=["Egress"], egress=[{"to": [peer], "ports": [{"port": 443}]}])
    (found,) = evaluate(network, pod("operator", serviceAccountName="operator", volumes=token), binding, allow)
    assert found.flow.server == "API server"
    assert found.is_allowed is is_allowed


def test_credentials_repositories_and_dns_are_required() -> None:
    agent = {"env": [{"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"}]}
    application = build(
        "argoproj.io/v1alpha1", "Application", "models", spec={"source": {"repoURL": "https://git.example/models"}}
    )
    found = evaluate(
        VPC_CNI,
        pod("web", container=agent, dnsPolicy="ClusterFirst"),
        pod("repo", labels={"app.kubernetes.io/component": "repo-server"}),
        pod("dns", "kube-system", {"k8s-app": "kube-dns"}),
        application,
        policy("web", podSelector={"matchLabels": {"app": "web"}}, policyTypes=["Egress"]),
    )
    needed = {
        (each.flow.client, each.flow.server, each.flow.port, each.flow.protocol): each.is_allowed for each in found
    }
    assert needed == {
        ("Pod shop/web", "169.254.170.23", 80, "TCP"): False,
        ("Pod shop/repo", "git.example", 443, "TCP"): True,
        ("Pod shop/web", "Pod kube-system/dns", 53, "UDP"): False,
        ("Pod shop/web", "Pod kube-system/dns", 53, "TCP"): False,
    }
    assert (
        "| Pod shop/web | 169.254.170.23 | 80/TCP | credentials of its cloud identity | **blocked** |"
        in format_table(found, Engine.VPC_CNI)
    )
