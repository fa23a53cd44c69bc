"""A simulated gateway controller: it judges Gateways and HTTPRoutes in the standard's words, and moves no traffic.

It takes every GatewayClass, for no gateway's controller runs for real here. The conditions and their reasons are those
of the Gateway API, https://gateway-api.sigs.k8s.io/reference/spec/, read in sigs.k8s.io/gateway-api v1.5.1, apis/v1.
"""

from __future__ import annotations

import datetime
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rehearsal.kubernetes.client import ApiClient, Object

CONTROLLER = "rehearsal.groundwork/simulated-gateway"

_GROUP = "gateway.networking.k8s.io"
_VERSION = f"{_GROUP}/v1"
_GRANTS = f"{_GROUP}/v1beta1"  # the older of the two that are served today
_SIMULATED = "simulated by the rehearsal: no traffic flows"

# A selector's expressions, in the form that the API server takes:
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api
_EXPRESSIONS = {"In": "{} in ({})", "NotIn": "{} notin ({})", "Exists": "{}", "DoesNotExist": "!{}"}

_Name = tuple[str, str]  # namespace, name
_Problem = tuple[str, str]  # reason, message


@dataclass(frozen=True)
class _Reference:
    """What an object refers to: the kinds at both ends, and the standard's reasons where that comes to nothing."""

    source: str
    target: str
    wrong_kind: str
    missing: str


_BACKEND = _Reference("HTTPRoute", "Service", "InvalidKind", "BackendNotFound")
_CERTIFICATE = _Reference("Gateway", "Secret", "InvalidCertificateRef", "InvalidCertificateRef")


def update_status(api: ApiClient) -> None:
    """One round over all gateways and routes. Raises ApiError and ApiUnreachableError."""
    classes = api.list(_VERSION, "GatewayClass")
    if not classes:
        return
    for each in classes:
        _write(api, each, {"conditions": [_condition(each, "Accepted", None, "Accepted")]})
    cluster = _Cluster(api, {each["metadata"]["name"] for each in classes})
    for route in api.list(_VERSION, "HTTPRoute"):
        others = [
            parent for parent in route.get("status", {}).get("parents", ()) if parent["controllerName"] != CONTROLLER
        ]
        _write(api, route, {"parents": [*others, *cluster.parents(route)]})
    for gateway in cluster.gateways.values():
        _write(api, gateway, cluster.status(gateway))


@dataclass
class _Cluster:
    """What a round needs to know, and what it has found so far."""

    api: ApiClient
    classes: Collection[str]
    gateways: Mapping[_Name, Object] = field(init=False)
    _services: Collection[_Name] = field(init=False)
    _grants: Sequence[Object] = field(init=False)
    _attached: dict[tuple[str, str, str], int] = field(default_factory=dict)  # routes, by gateway and listener

    def __post_init__(self) -> None:
        found = self.api.list(_VERSION, "Gateway")
        self.gateways = {_name(each): each for each in found if each["spec"]["gatewayClassName"] in self.classes}
        self._services = {_name(each) for each in self.api.list("v1", "Service")}
        self._grants = self.api.list(_GRANTS, "ReferenceGrant")

    def parents(self, route: Object) -> Iterator[Mapping[str, Any]]:
        """What is said of a route, by each of its gateways that is there."""
        namespace = route["metadata"]["namespace"]
        backends = [each for rule in route["spec"].get("rules", ()) for each in rule.get("backendRefs", ())]
        unresolved = self._find_first_problem(namespace, backends, _BACKEND)
        for parent in route["spec"].get("parentRefs", ()):
            gateway = self.gateways.get((parent.get("namespace") or namespace, parent["name"]))
            if gateway is None or parent.get("kind", "Gateway") != "Gateway":
                continue
            listeners, refusal = self._listeners(route, parent, gateway)
            for each in listeners:
                key = (*_name(gateway), each["name"])
                self._attached[key] = self._attached.get(key, 0) + 1
            yield {
                "parentRef": parent,
                "controllerName": CONTROLLER,
                "conditions": [
                    _condition(route, "Accepted", refusal, "Accepted"),
                    _condition(route, "ResolvedRefs", unresolved, "ResolvedRefs"),
                ],
            }

    def status(self, gateway: Object) -> Mapping[str, Any]:
        """What is said of a gateway, once all routes have been looked at."""
        listeners = [self._listener_status(gateway, each) for each in gateway["spec"]["listeners"]]
        broken = [each["name"] for each in listeners if _is_false(each, "Programmed")]
        invalid = ("Invalid", f"no listener is valid: {', '.join(broken)}") if len(broken) == len(listeners) else None
        return {
            "addresses": [{"type": "IPAddress", "value": _address(gateway)}],
            "listeners": listeners,
            "conditions": [
                _condition(gateway, "Accepted", None, "ListenersNotValid" if broken else "Accepted"),
                _condition(gateway, "Programmed", invalid, "Programmed"),
            ],
        }

    def _listeners(
        self, route: Object, parent: Mapping[str, Any], gateway: Object
    ) -> tuple[Sequence[Mapping[str, Any]], _Problem | None]:
        """The listeners of a gateway that take a route, or why none does."""
        name = f"gateway {'/'.join(_name(gateway))}"
        found = [
            each
            for each in gateway["spec"]["listeners"]
            if parent.get("sectionName", each["name"]) == each["name"]
            and parent.get("port", each["port"]) == each["port"]
        ]
        if not found:
            return [], ("NoMatchingParent", f"{name} has no listener of this name or port")
        found = [each for each in found if self._allows(each, gateway, route["metadata"]["namespace"])]
        if not found:
            return [], ("NotAllowedByListeners", f"no listener of {name} takes HTTPRoutes of this namespace")
        hosts = route["spec"].get("hostnames", ())
        found = [each for each in found if _share_a_host(each.get("hostname", ""), hosts)]
        if not found:
            return [], ("NoMatchingListenerHostname", f"no listener of {name} has any of these hostnames")
        return found, None

    def _allows(self, listener: Mapping[str, Any], gateway: Object, namespace: str) -> bool:
        if listener["protocol"] not in {"HTTP", "HTTPS"}:
            return False
        allowed = listener.get("allowedRoutes", {}).get("namespaces", {})
        match allowed.get("from", "Same"):
            case "All":
                return True
            case "Selector":
                return self._selected(namespace, allowed.get("selector", {}))
            case _:
                return bool(namespace == gateway["metadata"]["namespace"])

    def _selected(self, namespace: str, selector: Mapping[str, Any]) -> bool:
        equal = [f"{key}={value}" for key, value in selector.get("matchLabels", {}).items()]
        other = [
            _EXPRESSIONS[each["operator"]].format(each["key"], ",".join(each.get("values", ())))
            for each in selector.get("matchExpressions", ())
        ]
        labels = ",".join([*equal, *other])
        return bool(
            self.api.list("v1", "Namespace", label_selector=labels, field_selector=f"metadata.name={namespace}")
        )

    def _listener_status(self, gateway: Object, listener: Mapping[str, Any]) -> Mapping[str, Any]:
        namespace, name = _name(gateway)
        certificates = listener.get("tls", {}).get("certificateRefs", ())
        problem = self._find_first_problem(namespace, certificates, _CERTIFICATE)
        http = listener["protocol"] in {"HTTP", "HTTPS"}
        return {
            "name": listener["name"],
            "attachedRoutes": self._attached.get((namespace, name, listener["name"]), 0),
            "supportedKinds": [{"group": _GROUP, "kind": "HTTPRoute"}] if http else [],
            "conditions": [
                _condition(gateway, "Accepted", None, "Accepted"),
                _condition(gateway, "ResolvedRefs", problem, "ResolvedRefs"),
                _condition(gateway, "Programmed", problem and ("Invalid", problem[1]), "Programmed"),
            ],
        }

    def _find_first_problem(
        self, namespace: str, references: Sequence[Mapping[str, Any]], sort: _Reference
    ) -> _Problem | None:
        problems = (self._find_problem(namespace, each, sort) for each in references)
        return next((problem for problem in problems if problem), None)

    def _find_problem(self, namespace: str, reference: Mapping[str, Any], sort: _Reference) -> _Problem | None:
        """Why a reference from a namespace comes to nothing."""
        kind, place = reference.get("kind", sort.target), reference.get("namespace") or namespace
        name = f"{kind} {place}/{reference['name']}"
        if (reference.get("group", ""), kind) != ("", sort.target):
            return sort.wrong_kind, f"{name} is not of a kind that can stand here"
        if place != namespace and not self._granted(namespace, place, reference["name"], sort):
            return "RefNotPermitted", f"no ReferenceGrant in {place} lets {sort.source} of {namespace} refer to {name}"
        if not self._exists(kind, place, reference["name"]):
            return sort.missing, f"{name} does not exist"
        return None

    def _granted(self, namespace: str, place: str, name: str, sort: _Reference) -> bool:
        """https://gateway-api.sigs.k8s.io/api-types/referencegrant/"""
        source = {"group": _GROUP, "kind": sort.source, "namespace": namespace}
        return any(
            grant["metadata"]["namespace"] == place
            and source in grant["spec"]["from"]
            and any(to["kind"] == sort.target and to.get("name", name) == name for to in grant["spec"]["to"])
            for grant in self._grants
        )

    def _exists(self, kind: str, namespace: str, name: str) -> bool:
        if kind == "Service":
            return (namespace, name) in self._services
        return self.api.get("v1", kind, name, namespace) is not None


def _name(found: Object) -> _Name:
    return found["metadata"]["namespace"], found["metadata"]["name"]


def _share_a_host(listens: str, hosts: Sequence[str]) -> bool:
    """Whether a listener's hostname and a route's have one in common; none given stands for all."""
    return not listens or not hosts or any(_covers(listens, host) or _covers(host, listens) for host in hosts)


def _covers(pattern: str, host: str) -> bool:
    return host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:]))


def _address(gateway: Object) -> str:
    """One of TEST-NET-3, which leads nowhere: https://datatracker.ietf.org/doc/html/rfc5737"""
    return f"203.0.113.{1 + zlib.crc32('/'.join(_name(gateway)).encode()) % 254}"


def _condition(of: Object, kind: str, problem: _Problem | None, fine: str) -> dict[str, Any]:
    """A condition that holds, for the reason `fine`, unless there is a fault."""
    reason, message = problem or (fine, _SIMULATED)
    return {
        "type": kind,
        "status": "False" if problem else "True",
        "reason": reason,
        "message": message,
        "observedGeneration": of["metadata"]["generation"],
    }


def _is_false(status: Mapping[str, Any], kind: str) -> bool:
    return any(each["type"] == kind and each["status"] == "False" for each in status["conditions"])


def _write(api: ApiClient, found: Object, status: Mapping[str, Any]) -> None:
    """Write a status where it says anything new."""
    before = found.get("status", {})
    if any(_timeless(before.get(key)) != _timeless(value) for key, value in status.items()):
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        api.patch(found, {"status": _timed(status, now)}, "/status")


def _timeless(status: Any) -> Any:
    """A status without the times of its conditions."""
    if isinstance(status, Mapping):
        return {key: _timeless(value) for key, value in status.items() if key != "lastTransitionTime"}
    return [_timeless(each) for each in status] if isinstance(status, list) else status


def _timed(status: Any, now: str) -> Any:
    """A status whose conditions have a time, be it their first or another."""
    if isinstance(status, Mapping):
        time = {"lastTransitionTime": now} if {"type", "status", "reason"} <= status.keys() else {}
        return time | {key: _timed(value, now) for key, value in status.items()}
    return [_timed(each, now) for each in status] if isinstance(status, list) else status
