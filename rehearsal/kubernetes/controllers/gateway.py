"""A simulated gateway controller: it sets the status of Gateways and HTTPRoutes, and routes no traffic.

It accepts every GatewayClass, since no gateway's own controller runs here. Conditions and reasons are those of the
Gateway API, https://gateway-api.sigs.k8s.io/reference/spec/, from sigs.k8s.io/gateway-api v1.5.1, apis/v1.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.controllers.conditions import Failure, build_condition, write_status

CONTROLLER = "rehearsal.groundwork/simulated-gateway"

_GROUP = "gateway.networking.k8s.io"
_API_VERSION = f"{_GROUP}/v1"
_GRANT_API_VERSION = f"{_GROUP}/v1beta1"  # the older of the two versions served today
_SIMULATED_MESSAGE = "simulated by the rehearsal: no traffic flows"

# The expressions of a label selector in the syntax of query parameters:
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api
_SELECTOR_EXPRESSIONS = {"In": "{} in ({})", "NotIn": "{} notin ({})", "Exists": "{}", "DoesNotExist": "!{}"}

_Name: TypeAlias = tuple[str, str]  # namespace, name


@dataclass(frozen=True)
class _ReferenceType:
    """A kind of reference: the kinds at both ends, and the standard's reasons for an unresolved one."""

    source: str
    target: str
    wrong_kind: str
    not_found: str


_BACKEND = _ReferenceType("HTTPRoute", "Service", "InvalidKind", "BackendNotFound")
_CERTIFICATE = _ReferenceType("Gateway", "Secret", "InvalidCertificateRef", "InvalidCertificateRef")


def update_status(api: ApiClient) -> None:
    """Update the status of all gateways and routes. Raises ApiError and ApiUnreachableError."""
    classes = api.list(_API_VERSION, "GatewayClass")
    if not classes:
        return
    for gateway_class in classes:
        accepted = _condition(gateway_class, "Accepted", None, "Accepted")
        write_status(api, gateway_class, {"conditions": [accepted]})
    evaluation = _Evaluation(api, {gateway_class["metadata"]["name"] for gateway_class in classes})
    for route in api.list(_API_VERSION, "HTTPRoute"):
        other_parents = [
            parent for parent in route.get("status", {}).get("parents", ()) if parent["controllerName"] != CONTROLLER
        ]
        write_status(api, route, {"parents": [*other_parents, *evaluation.evaluate_route(route)]})
    for gateway in evaluation.gateways.values():
        write_status(api, gateway, evaluation.evaluate_gateway(gateway))


@dataclass
class _Evaluation:
    """Evaluates all routes and then all gateways, whose status counts the attached routes."""

    api: ApiClient
    classes: Collection[str]
    gateways: Mapping[_Name, Object] = field(init=False)
    _services: Collection[_Name] = field(init=False)
    _grants: Sequence[Object] = field(init=False)
    _attached_routes: dict[tuple[str, str, str], int] = field(default_factory=dict)  # keyed by gateway and listener

    def __post_init__(self) -> None:
        gateways = self.api.list(_API_VERSION, "Gateway")
        self.gateways = {
            _name(gateway): gateway for gateway in gateways if gateway["spec"]["gatewayClassName"] in self.classes
        }
        self._services = {_name(service) for service in self.api.list("v1", "Service")}
        self._grants = self.api.list(_GRANT_API_VERSION, "ReferenceGrant")

    def evaluate_route(self, route: Object) -> Iterator[Mapping[str, Any]]:
        """The status of a route for each of its gateways that exists."""
        namespace = route["metadata"]["namespace"]
        backends = [backend for rule in route["spec"].get("rules", ()) for backend in rule.get("backendRefs", ())]
        unresolved = self._find_first_unresolved(namespace, backends, _BACKEND)
        for parent in route["spec"].get("parentRefs", ()):
            gateway = self.gateways.get((parent.get("namespace") or namespace, parent["name"]))
            if gateway is None or parent.get("kind", "Gateway") != "Gateway":
                continue
            listeners, failure = self._match_listeners(route, parent, gateway)
            for listener in listeners:
                key = (*_name(gateway), listener["name"])
                self._attached_routes[key] = self._attached_routes.get(key, 0) + 1
            yield {
                "parentRef": parent,
                "controllerName": CONTROLLER,
                "conditions": [
                    _condition(route, "Accepted", failure, "Accepted"),
                    _condition(route, "ResolvedRefs", unresolved, "ResolvedRefs"),
                ],
            }

    def evaluate_gateway(self, gateway: Object) -> Mapping[str, Any]:
        """The status of a gateway, once all routes have been evaluated."""
        listeners = [self._evaluate_listener(gateway, listener) for listener in gateway["spec"]["listeners"]]
        invalid = [listener["name"] for listener in listeners if _is_false(listener, "Programmed")]
        all_invalid = len(invalid) == len(listeners)
        failure = ("Invalid", f"no listener is valid: {', '.join(invalid)}") if all_invalid else None
        return {
            "addresses": [{"type": "IPAddress", "value": _address(gateway)}],
            "listeners": listeners,
            "conditions": [
                _condition(gateway, "Accepted", None, "ListenersNotValid" if invalid else "Accepted"),
                _condition(gateway, "Programmed", failure, "Programmed"),
            ],
        }

    def _match_listeners(
        self, route: Object, parent: Mapping[str, Any], gateway: Object
    ) -> tuple[Sequence[Mapping[str, Any]], Failure | None]:
        """The listeners of a gateway that accept a route, or the reason why none does."""
        name = f"gateway {'/'.join(_name(gateway))}"
        found = [
            listener
            for listener in gateway["spec"]["listeners"]
            if parent.get("sectionName", listener["name"]) == listener["name"]
            and parent.get("port", listener["port"]) == listener["port"]
        ]
        if not found:
            return [], ("NoMatchingParent", f"{name} has no listener of this name or port")
        namespace = route["metadata"]["namespace"]
        found = [listener for listener in found if self._allows_routes_of(listener, gateway, namespace)]
        if not found:
            return [], ("NotAllowedByListeners", f"no listener of {name} allows HTTPRoutes of this namespace")
        hostnames = route["spec"].get("hostnames", ())
        found = [listener for listener in found if _hostnames_intersect(listener.get("hostname", ""), hostnames)]
        if not found:
            return [], ("NoMatchingListenerHostname", f"no listener of {name} matches any of these hostnames")
        return found, None

    def _allows_routes_of(self, listener: Mapping[str, Any], gateway: Object, namespace: str) -> bool:
        if listener["protocol"] not in {"HTTP", "HTTPS"}:
            return False
        allowed = listener.get("allowedRoutes", {}).get("namespaces", {})
        match allowed.get("from", "Same"):
            case "All":
                return True
            case "Selector":
                return self._selects_namespace(namespace, allowed.get("selector", {}))
            case _:
                return bool(namespace == gateway["metadata"]["namespace"])

    def _selects_namespace(self, namespace: str, selector: Mapping[str, Any]) -> bool:
        equalities = [f"{key}={value}" for key, value in selector.get("matchLabels", {}).items()]
        expressions = [
            _SELECTOR_EXPRESSIONS[expression["operator"]].format(
                expression["key"], ",".join(expression.get("values", ()))
            )
            for expression in selector.get("matchExpressions", ())
        ]
        labels = ",".join([*equalities, *expressions])
        return bool(
            self.api.list("v1", "Namespace", label_selector=labels, field_selector=f"metadata.name={namespace}")
        )

    def _evaluate_listener(self, gateway: Object, listener: Mapping[str, Any]) -> Mapping[str, Any]:
        namespace, name = _name(gateway)
        certificates = listener.get("tls", {}).get("certificateRefs", ())
        failure = self._find_first_unresolved(namespace, certificates, _CERTIFICATE)
        is_http = listener["protocol"] in {"HTTP", "HTTPS"}
        return {
            "name": listener["name"],
            "attachedRoutes": self._attached_routes.get((namespace, name, listener["name"]), 0),
            "supportedKinds": [{"group": _GROUP, "kind": "HTTPRoute"}] if is_http else [],
            "conditions": [
                _condition(gateway, "Accepted", None, "Accepted"),
                _condition(gateway, "ResolvedRefs", failure, "ResolvedRefs"),
                _condition(gateway, "Programmed", failure and ("Invalid", failure[1]), "Programmed"),
            ],
        }

    def _find_first_unresolved(
        self, namespace: str, references: Sequence[Mapping[str, Any]], reference_type: _ReferenceType
    ) -> Failure | None:
        failures = (self._resolve(namespace, reference, reference_type) for reference in references)
        return next((failure for failure in failures if failure), None)

    def _resolve(self, namespace: str, reference: Mapping[str, Any], reference_type: _ReferenceType) -> Failure | None:
        """Why a reference from a namespace is not resolved; None if it is."""
        kind = reference.get("kind", reference_type.target)
        target_namespace = reference.get("namespace") or namespace
        name = f"{kind} {target_namespace}/{reference['name']}"
        if (reference.get("group", ""), kind) != ("", reference_type.target):
            return reference_type.wrong_kind, f"{name} is not of a kind that can be referenced here"
        if target_namespace != namespace and not self._is_granted(
            namespace, target_namespace, reference["name"], reference_type
        ):
            return (
                "RefNotPermitted",
                f"no ReferenceGrant in {target_namespace} allows {reference_type.source}s of {namespace} to use {name}",
            )
        if not self._exists(kind, target_namespace, reference["name"]):
            return reference_type.not_found, f"{name} does not exist"
        return None

    def _is_granted(self, namespace: str, target_namespace: str, name: str, reference_type: _ReferenceType) -> bool:
        """Source: https://gateway-api.sigs.k8s.io/api-types/referencegrant/"""
        source = {"group": _GROUP, "kind": reference_type.source, "namespace": namespace}
        return any(
            grant["metadata"]["namespace"] == target_namespace
            and source in grant["spec"]["from"]
            and any(to["kind"] == reference_type.target and to.get("name", name) == name for to in grant["spec"]["to"])
            for grant in self._grants
        )

    def _exists(self, kind: str, namespace: str, name: str) -> bool:
        if kind == "Service":
            return (namespace, name) in self._services
        return self.api.get("v1", kind, name, namespace) is not None


def _name(found: Object) -> _Name:
    return found["metadata"]["namespace"], found["metadata"]["name"]


def _hostnames_intersect(listener: str, route: Sequence[str]) -> bool:
    """Whether a listener's hostname and a route's hostnames intersect; an absent one matches all."""
    return not listener or not route or any(_covers(listener, name) or _covers(name, listener) for name in route)


def _covers(pattern: str, hostname: str) -> bool:
    return hostname == pattern or (pattern.startswith("*.") and hostname.endswith(pattern[1:]))


def _address(gateway: Object) -> str:
    """An address of TEST-NET-3, which is not routed: https://datatracker.ietf.org/doc/html/rfc5737"""
    return f"203.0.113.{1 + zlib.crc32('/'.join(_name(gateway)).encode()) % 254}"


def _condition(owner: Object, type_: str, failure: Failure | None, success: str) -> dict[str, Any]:
    """A condition: true with the reason `success`, unless there is a failure."""
    return build_condition(owner, type_, failure, success, _SIMULATED_MESSAGE)


def _is_false(status: Mapping[str, Any], type_: str) -> bool:
    return any(condition["type"] == type_ and condition["status"] == "False" for condition in status["conditions"])
