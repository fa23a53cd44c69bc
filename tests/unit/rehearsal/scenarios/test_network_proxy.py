"""The targets of the simulated network: through routes, as the Gateway API defines them, and ports of Services.

The API server and the kubelet are stubs. Matches of headers and methods are not tested, as they are not evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
import requests

from rehearsal.kubernetes.client import ApiClient
from rehearsal.scenarios.kubelet_stub import KubeletStub
from rehearsal.scenarios.network_proxy import NetworkProxy

ACCEPTED = {"parents": [{"conditions": [{"type": "Accepted", "status": "True"}]}]}
PATHS = [{"path": {"type": "Exact", "value": "/predict"}}, {"path": {"type": "PathPrefix", "value": "/v2"}}]


class Api:
    """A stub of the API server with routes of the hostname wine.example.com, and the Service `wine` with two ports."""

    def __init__(self, *rules: Mapping[str, Any], port: int = 80) -> None:
        backends = [{"name": "wine", "port": port}]
        namespace = {"namespace": "serving"}
        endpoints = [{"conditions": {"ready": True}, "addresses": ["10.0.0.1"]}]
        labels = {"kubernetes.io/service-name": "wine"}
        self._objects: dict[str, list[dict[str, Any]]] = {
            "HTTPRoute": [
                {
                    "metadata": namespace,
                    "spec": {"hostnames": ["wine.example.com"], "rules": [{"backendRefs": backends, **rule}]},
                    "status": ACCEPTED,
                }
                for rule in rules
            ],
            "Service": [
                {
                    "metadata": {**namespace, "name": "wine"},
                    "spec": {"ports": [{"name": "http", "port": 80}, {"name": "metrics", "port": 9090}]},
                }
            ],
            "EndpointSlice": [
                {
                    "metadata": {**namespace, "labels": labels},
                    "endpoints": endpoints,
                    "ports": [{"name": "metrics", "port": 9000}, {"name": "http", "port": 8000}],
                }
            ],
        }

    def list(self, _: str, kind: str) -> Sequence[Mapping[str, Any]]:
        return self._objects[kind]


class Kubelet:
    """Runs no process, so a request that a route accepts ends with 503; it records the target."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, int | None]] = []

    def find_port(self, address: str, container_port: int | None = None) -> int | None:
        self.requests.append((address, container_port))
        return None


def create_network(*rules: Mapping[str, Any], port: int = 80) -> tuple[NetworkProxy, Kubelet]:
    kubelet = Kubelet()
    return NetworkProxy(cast("ApiClient", Api(*rules, port=port)), cast("KubeletStub", kubelet), {}, {}), kubelet


@pytest.mark.parametrize(
    ("rule", "path", "status"),
    [
        *[({"matches": PATHS}, path, 503) for path in ("/predict", "/v2", "/v2/", "/v2/models/wine/infer")],
        *[({"matches": PATHS}, path, 404) for path in ("/metrics", "/", "/predict/", "/predictions", "/v22", "/V2")],
        *[({}, path, 503) for path in ("/", "/metrics")],
    ],
)
def test_only_the_paths_of_a_rule_lead_to_its_service(rule: Mapping[str, Any], path: str, status: int) -> None:
    network, _ = create_network(rule)
    with network.run() as proxy:
        assert requests.get(f"http://wine.example.com{path}", proxies={"http": proxy}, timeout=10).status_code == status


@pytest.mark.parametrize(
    ("path", "target"), [("/a", 8000), ("/a/b/c", 9000), ("/a/b", 9000), ("/a/bc", 8000), ("/exact", 9000)]
)
def test_the_most_specific_match_of_several_routes_of_a_host_counts(path: str, target: int) -> None:
    """The order of the routes does not matter."""

    def rule(type_: str, value: str, port: int) -> Mapping[str, Any]:
        return {
            "matches": [{"path": {"type": type_, "value": value}}],
            "backendRefs": [{"name": "wine", "port": port}],
        }

    rules = [rule("PathPrefix", "/", 80), rule("PathPrefix", "/a/b", 9090), rule("Exact", "/exact", 9090)]
    for order in (rules, rules[::-1]):
        network, kubelet = create_network(*order)
        network.find_port("wine.example.com", path)
        assert kubelet.requests[-1] == ("10.0.0.1", target)


@pytest.mark.parametrize(("port", "target"), [(80, 8000), (9090, 9000), (81, None)])
def test_a_port_of_a_service_leads_to_the_pods_port_of_the_same_name(port: int, target: int | None) -> None:
    network, kubelet = create_network()
    network.find_port("wine.serving.svc.cluster.local", "/", port)
    assert kubelet.requests == [("10.0.0.1", target)]


def test_a_request_to_a_pod_names_its_port() -> None:
    network, kubelet = create_network()
    with network.run() as proxy:
        requests.get("http://10.0.0.1:9000/metrics", proxies={"http": proxy}, timeout=10)
    assert kubelet.requests == [("10.0.0.1", 9000)]
