"""The network policies that derive from flows, on a foundation of constant values, for each engine.

Proves which rules derive from a flow with each engine. Not proven here: that the declared flows are those that charts
need; a rehearsal reports missing ones.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pulumi_kubernetes.core.v1 import Namespace

from infra.access import Store
from infra.cluster.flows import Flow, Place, Pods
from infra.cluster.namespaces import PROFILES, Namespaces, NamespacesArgs
from infra.cluster.network_policies import NetworkPolicies, NetworkPoliciesArgs
from infra.contract import Endpoint, NetworkPolicyEngine
from tests.support.foundations import sample_foundation
from tests.support.recording import record_program, stack_context

TUNNEL = {"app": "tunnel"}
NETWORK = stack_context("azure").settings.network.cidr
NODES = ["host", "remote-node"]
PORT = 8443

CLIENTS = (Pods("training"), Place.ALL_PODS, Place.NODES, Place.API_SERVER, Place.LOAD_BALANCER)
ENDPOINT = Endpoint(["10.8.0.0/24"], 9443)
SERVERS = (Place.NODES, Place.PRIVATE_NETWORK, Place.API_SERVER, Place.INTERNET, Store.TRACKING_DB, ENDPOINT)


def server_of(client: Any) -> Pods:
    """The pods that this client connects to."""
    name = f"server-{CLIENTS.index(client)}"
    return Pods("mlflow", name, {"app": name})


def client_of(server: Any) -> Pods:
    """The pods that connect to this server."""
    name = f"client-{SERVERS.index(server)}"
    return Pods("mlflow", name, {"app": name})


def derive(engine: NetworkPolicyEngine) -> dict[tuple[str, str], Any]:
    """The specifications of all policies, keyed by kind and name."""
    flows = [
        *(Flow(client, server_of(client), PORT) for client in CLIENTS),
        *(Flow(client_of(server), server, PORT) for server in SERVERS),
    ]

    def declare() -> None:
        sample = sample_foundation()
        tunnel = TUNNEL if engine is NetworkPolicyEngine.CILIUM else None
        cluster = dataclasses.replace(sample.cluster, network_policy_engine=engine, api_tunnel=tunnel)
        foundation = dataclasses.replace(sample, cluster=cluster)
        namespaces = Namespaces("namespaces", NamespacesArgs(foundation.identities, PROFILES))
        args = NetworkPoliciesArgs(stack_context("azure"), foundation, namespaces.by_name, flows)
        NetworkPolicies("network-policies", args)

    recorder, _ = record_program(declare)
    policies = [item.inputs for item in recorder.resources if item.type.endswith("NetworkPolicy")]
    return {(policy["kind"], policy["metadata"]["name"]): policy["spec"] for policy in policies}


@pytest.fixture(scope="module")
def vpc_cni() -> dict[tuple[str, str], Any]:
    return derive(NetworkPolicyEngine.VPC_CNI)


@pytest.fixture(scope="module")
def cilium() -> dict[tuple[str, str], Any]:
    return derive(NetworkPolicyEngine.CILIUM)


@pytest.mark.parametrize(
    ("client", "peer"),
    [
        (Pods("training"), {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "training"}}}),
        (Place.ALL_PODS, {"namespaceSelector": {}}),
        (Place.NODES, {"ipBlock": {"cidr": NETWORK}}),
        (Place.API_SERVER, {"ipBlock": {"cidr": "10.20.0.0/20"}}),
        (Place.LOAD_BALANCER, {"ipBlock": {"cidr": "0.0.0.0/0"}}),
    ],
)
def test_with_the_vpc_cni_every_client_is_a_peer(vpc_cni: dict[tuple[str, str], Any], client: Any, peer: Any) -> None:
    policy = vpc_cni["NetworkPolicy", server_of(client).name]
    assert policy["podSelector"] == {"matchLabels": server_of(client).labels}
    assert policy["ingress"] == [{"from": [peer], "ports": [{"port": PORT, "protocol": "TCP"}]}]
    assert policy["egress"] == []


@pytest.mark.parametrize(
    ("server", "cidr", "port"),
    [
        (Place.NODES, NETWORK, PORT),
        (Place.PRIVATE_NETWORK, NETWORK, PORT),
        (Place.API_SERVER, "10.20.0.0/20", 443),
        (Store.TRACKING_DB, "10.9.56.0/24", 5432),
        (ENDPOINT, "10.8.0.0/24", 9443),
    ],
)
def test_with_the_vpc_cni_servers_are_addresses(
    vpc_cni: dict[tuple[str, str], Any], server: Any, cidr: str, port: int
) -> None:
    rule = {"to": [{"ipBlock": {"cidr": cidr}}], "ports": [{"port": port, "protocol": "TCP"}]}
    assert vpc_cni["NetworkPolicy", client_of(server).name]["egress"] == [rule]


def test_the_vpc_cni_needs_no_custom_kinds(vpc_cni: dict[tuple[str, str], Any]) -> None:
    assert {kind for kind, _ in vpc_cni} == {"NetworkPolicy"}


@pytest.mark.parametrize(
    ("client", "entities"),
    [(Place.NODES, NODES), (Place.API_SERVER, ["kube-apiserver", *NODES]), (Place.LOAD_BALANCER, NODES)],
)
def test_cilium_selects_clients_as_entities(
    cilium: dict[tuple[str, str], Any], client: Place, entities: list[str]
) -> None:
    spec = cilium["CiliumNetworkPolicy", server_of(client).name]
    ports = [{"ports": [{"port": str(PORT), "protocol": "TCP"}]}]
    assert spec == {
        "endpointSelector": {"matchLabels": server_of(client).labels},
        "ingress": [{"fromEntities": entities, "toPorts": ports}],
    }


@pytest.mark.parametrize(
    ("server", "entities", "port"), [(Place.NODES, NODES, PORT), (Place.API_SERVER, ["kube-apiserver"], 443)]
)
def test_cilium_selects_servers_as_entities(
    cilium: dict[tuple[str, str], Any], server: Place, entities: list[str], port: int
) -> None:
    ports = [{"ports": [{"port": str(port), "protocol": "TCP"}]}]
    (rule,) = cilium["CiliumNetworkPolicy", client_of(server).name]["egress"]
    assert rule == {"toEntities": entities, "toPorts": ports}
    # An address block would not select it, and a rule without peers would allow everything.
    assert cilium["NetworkPolicy", client_of(server).name]["egress"] == []


def test_calls_of_webhooks_may_use_the_tunnel(cilium: dict[tuple[str, str], Any]) -> None:
    (rule,) = cilium["NetworkPolicy", server_of(Place.API_SERVER).name]["ingress"]
    assert rule["from"][0]["podSelector"] == {"matchLabels": TUNNEL}
    assert rule["ports"] == [{"port": PORT, "protocol": "TCP"}]


def test_public_addresses_are_those_that_are_not_private(cilium: dict[tuple[str, str], Any]) -> None:
    (rule,) = cilium["NetworkPolicy", client_of(Place.INTERNET).name]["egress"]
    assert rule["to"][0]["ipBlock"]["cidr"] == "0.0.0.0/0"
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(rule["to"][0]["ipBlock"]["except"])


def test_pods_of_one_name_and_different_labels_are_an_error() -> None:
    flows = [Flow(Pods("mlflow", "app", {"app": version}), Place.NODES, 1) for version in ("old", "new")]

    def declare() -> None:
        namespaces = {"mlflow": Namespace("mlflow", metadata={"name": "mlflow"})}
        args = NetworkPoliciesArgs(stack_context("azure"), sample_foundation(), namespaces, flows)
        NetworkPolicies("network-policies", args)

    with pytest.raises(ValueError, match="pods 'app' in the namespace 'mlflow' with different labels: give each"):
        record_program(declare)
