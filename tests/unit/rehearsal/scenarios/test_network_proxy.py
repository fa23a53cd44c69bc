"""A route's hostname in the simulated network leads to the service of the rule for the path, as the Gateway API has it.

The API server and the kubelet are simulated. Not proven: matches of headers and methods, which are not evaluated.
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
    """An API server with one route, of the hostname wine.example.com, and the endpoints of its service."""

    def __init__(self, rule: Mapping[str, Any]) -> None:
        rules = [{**rule, "backendRefs": [{"name": "wine", "port": 80}]}]
        spec = {"hostnames": ["wine.example.com"], "rules": rules}
        endpoints = [{"conditions": {"ready": True}, "addresses": ["10.0.0.1"]}]
        labels = {"kubernetes.io/service-name": "wine"}
        self._objects: dict[str, list[dict[str, Any]]] = {
            "HTTPRoute": [{"metadata": {"namespace": "serving"}, "spec": spec, "status": ACCEPTED}],
            "EndpointSlice": [{"metadata": {"namespace": "serving", "labels": labels}, "endpoints": endpoints}],
        }

    def list(self, _: str, kind: str) -> Sequence[Mapping[str, Any]]:
        return self._objects[kind]


class Kubelet:
    """Runs no process, so that a request which a route accepts ends with 503."""

    def find_port(self, _: str) -> int | None:
        return None


@pytest.mark.parametrize(
    ("rule", "path", "status"),
    [
        *[({"matches": PATHS}, path, 503) for path in ("/predict", "/v2", "/v2/", "/v2/models/wine/infer")],
        *[({"matches": PATHS}, path, 404) for path in ("/metrics", "/", "/predict/", "/predictions", "/v22", "/V2")],
        *[({}, path, 503) for path in ("/", "/metrics")],
    ],
)
def test_only_the_paths_of_a_rule_lead_to_its_service(rule: Mapping[str, Any], path: str, status: int) -> None:
    network = NetworkProxy(cast("ApiClient", Api(rule)), cast("KubeletStub", Kubelet()), {}, {})
    with network.run() as proxy:
        assert requests.get(f"http://wine.example.com{path}", proxies={"http": proxy}, timeout=10).status_code == status
