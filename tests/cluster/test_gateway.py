"""The simulated gateway controller sets the status of Gateways and HTTPRoutes as the Gateway API defines it.

Proves the conditions, and that their messages state that they are simulated. Does not prove that traffic would be
routed, nor what a particular gateway's own controller reports beyond the standard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy
from rehearsal.kubernetes.controllers.manager import ControllerManager
from tests.support.chart_installation import apply_gateway_api_definitions, find_condition
from tests.support.waiting import eventually

_VERSION = "gateway.networking.k8s.io/v1"
_CLASS = "simulated"


@pytest.fixture(scope="module", autouse=True)
def controllers(plane: ControlPlane, egress: EgressProxy) -> Iterator[None]:
    apply_gateway_api_definitions(plane)
    plane.api.apply(_object("GatewayClass", _CLASS, "", {"controllerName": "example.com/gateways"}), "test")
    with ControllerManager(plane, egress, {}).run():
        yield


@pytest.fixture
def gateway(plane: ControlPlane, namespace: str) -> Object:
    """A gateway that allows routes of its own namespace, on port 80."""
    return _gateway(plane, namespace, {"name": "http", "port": 80, "protocol": "HTTP"})


def test_a_gateway_is_programmed_with_an_unroutable_address(plane: ControlPlane, gateway: Object) -> None:
    found = eventually(lambda: _with_condition(plane, gateway, "Programmed"))

    assert find_condition(found, "Accepted")["status"] == find_condition(found, "Programmed")["status"] == "True"
    assert "simulated" in find_condition(found, "Programmed")["message"]
    assert found["status"]["addresses"][0]["value"].startswith("203.0.113.")


def test_a_gateway_of_an_unknown_class_is_not_programmed(plane: ControlPlane, namespace: str) -> None:
    listener = {"name": "http", "port": 80, "protocol": "HTTP"}
    spec = {"gatewayClassName": "not-there", "listeners": [listener]}
    unknown = plane.api.create(_object("Gateway", "unknown", namespace, spec))
    other = _gateway(plane, namespace, listener)

    eventually(lambda: _with_condition(plane, other, "Programmed"))

    assert find_condition(_get_current(plane, unknown), "Programmed")["status"] == "Unknown"


def test_a_listener_without_its_certificate_is_invalid(plane: ControlPlane, namespace: str) -> None:
    tls = {"certificateRefs": [{"name": "not-there"}]}
    gateway = _gateway(plane, namespace, {"name": "https", "port": 443, "protocol": "HTTPS", "tls": tls})

    found = eventually(lambda: _with_condition(plane, gateway, "Programmed"))

    (listener,) = found["status"]["listeners"]
    assert find_condition(listener, "ResolvedRefs")["reason"] == "InvalidCertificateRef"
    assert find_condition(found, "Programmed")["status"] == "False"


def test_a_route_to_an_existing_service_is_accepted_and_counted(plane: ControlPlane, gateway: Object) -> None:
    namespace = gateway["metadata"]["namespace"]
    _service(plane, namespace)

    (parent,) = _parents(plane, _route(plane, namespace, gateway))

    assert parent["controllerName"] == "rehearsal.groundwork/simulated-gateway"
    assert find_condition(parent, "Accepted")["status"] == find_condition(parent, "ResolvedRefs")["status"] == "True"
    eventually(
        lambda: [each["attachedRoutes"] for each in _get_current(plane, gateway)["status"].get("listeners", ())] == [1]
    )


def test_a_route_to_a_missing_service_is_not_resolved(plane: ControlPlane, gateway: Object) -> None:
    (parent,) = _parents(plane, _route(plane, gateway["metadata"]["namespace"], gateway))

    assert find_condition(parent, "ResolvedRefs")["status"] == "False"
    assert find_condition(parent, "ResolvedRefs")["reason"] == "BackendNotFound"


def test_a_route_of_a_missing_gateway_has_no_status(plane: ControlPlane, gateway: Object) -> None:
    namespace = gateway["metadata"]["namespace"]
    orphan = plane.api.create(_object("HTTPRoute", "orphan", namespace, {"parentRefs": [{"name": "not-there"}]}))

    _parents(plane, _route(plane, namespace, gateway))

    assert not _get_current(plane, orphan).get("status", {}).get("parents")


def test_a_route_to_another_namespace_needs_a_grant_there(plane: ControlPlane, gateway: Object) -> None:
    namespace = gateway["metadata"]["namespace"]
    other = f"{namespace}-other"
    plane.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})
    _service(plane, other)
    route = _route(plane, namespace, gateway, service_namespace=other)

    (parent,) = _parents(plane, route)
    assert find_condition(parent, "ResolvedRefs")["reason"] == "RefNotPermitted"

    source = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": namespace}
    grant = {"from": [source], "to": [{"group": "", "kind": "Service"}]}
    plane.api.create({**_object("ReferenceGrant", "grant", other, grant), "apiVersion": f"{_VERSION}beta1"})
    eventually(lambda: find_condition(_parents(plane, route)[0], "ResolvedRefs")["status"] == "True")
    plane.api.delete("v1", "Namespace", other)


@pytest.mark.parametrize(
    ("listener", "reason"),
    [
        ({"allowedRoutes": {"namespaces": {"from": "Same"}}}, "NotAllowedByListeners"),
        (
            {"allowedRoutes": {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"web": "yes"}}}}},
            "NotAllowedByListeners",
        ),
        ({"allowedRoutes": {"namespaces": {"from": "All"}}, "hostname": "*.example.org"}, "NoMatchingListenerHostname"),
        ({"allowedRoutes": {"namespaces": {"from": "All"}}, "hostname": "*.example.com"}, "Accepted"),
        (
            {
                "allowedRoutes": {
                    "namespaces": {
                        "from": "Selector",
                        "selector": {"matchExpressions": [{"key": "web", "operator": "DoesNotExist"}]},
                    }
                }
            },
            "Accepted",
        ),
    ],
)
def test_a_listener_accepts_the_routes_that_it_allows(
    plane: ControlPlane, namespace: str, listener: Mapping[str, Any], reason: str
) -> None:
    other_namespace = f"{namespace}-gateway"
    plane.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other_namespace}})
    gateway = _gateway(plane, other_namespace, {"name": "http", "port": 80, "protocol": "HTTP", **listener})

    (parent,) = _parents(plane, _route(plane, namespace, gateway))

    assert find_condition(parent, "Accepted")["reason"] == reason
    plane.api.delete("v1", "Namespace", other_namespace)


def test_a_route_to_a_missing_listener_has_no_parent(plane: ControlPlane, gateway: Object) -> None:
    (parent,) = _parents(plane, _route(plane, gateway["metadata"]["namespace"], gateway, sectionName="https"))

    assert find_condition(parent, "Accepted")["reason"] == "NoMatchingParent"


def _object(kind: str, name: str, namespace: str, spec: Mapping[str, Any]) -> Object:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": _VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _gateway(plane: ControlPlane, namespace: str, listener: Mapping[str, Any]) -> Object:
    spec = {"gatewayClassName": _CLASS, "listeners": [listener]}
    return plane.api.create(_object("Gateway", "gateway", namespace, spec))


def _route(plane: ControlPlane, namespace: str, gateway: Object, service_namespace: str = "", **parent: Any) -> Object:
    backend = {"name": "web", "port": 80} | ({"namespace": service_namespace} if service_namespace else {})
    named = {"name": gateway["metadata"]["name"], "namespace": gateway["metadata"]["namespace"]}
    spec = {
        "parentRefs": [{**named, **parent}],
        "hostnames": ["web.example.com"],
        "rules": [{"backendRefs": [backend]}],
    }
    return plane.api.create(_object("HTTPRoute", "web", namespace, spec))


def _service(plane: ControlPlane, namespace: str) -> None:
    metadata = {"name": "web", "namespace": namespace}
    plane.api.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}})


def _parents(plane: ControlPlane, route: Object) -> Any:
    return eventually(lambda: _get_current(plane, route).get("status", {}).get("parents"))


def _with_condition(plane: ControlPlane, gateway: Object, kind: str) -> Any:
    found = _get_current(plane, gateway)
    return found if find_condition(found, kind).get("status") in {"True", "False"} else None


def _get_current(plane: ControlPlane, found: Object) -> Any:
    metadata = found["metadata"]
    return plane.api.get(found["apiVersion"], found["kind"], metadata["name"], metadata["namespace"])
