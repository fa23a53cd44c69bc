"""The cluster's network, simulated as an HTTP proxy that resolves names of services, pod addresses and route hostnames.

With it as `http_proxy`, a process reaches `http://<service>.<namespace>.svc.cluster.local` through the Service's real
EndpointSlices, a pod by its address, and a route's hostname by the paths and weights of the real HTTPRoutes, once a
gateway has accepted them; their other matches are not evaluated. A client that uses no proxies calls it as a server,
with the hostname as the first part of the path. Neither network policies nor routes' security policies, which require
a password, are enforced.
"""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import SplitResult, urlsplit

from rehearsal.kubernetes.client import ApiClient, ApiError, ApiUnreachableError, Object
from rehearsal.kubernetes.control_plane.control_plane import HOST
from rehearsal.kubernetes.http_server import SilentHandler, serve_in_thread
from rehearsal.scenarios.kubelet_stub import KubeletStub

METRICS_HOST = "kubelet.rehearsal"  # the hostname of the kubelet stub's metrics

_Response: TypeAlias = tuple[int, Sequence[tuple[str, str]], bytes]  # HTTP status, headers, content

_CACHE_TIME = 0.5  # seconds for which objects are cached; kube-proxy and gateways lag behind as well
_RESPONSE_TIMEOUT = 60.0  # seconds
_DOMAIN = ".svc.cluster.local"
_HTTP_PORT = 80
_HOP_BY_HOP_HEADERS = {
    *("connection", "keep-alive", "proxy-connection", "proxy-authorization"),
    *("te", "trailer", "transfer-encoding"),
}


class _NoMatchError(Exception):
    """No rule of the route matches the requested path."""


class NetworkProxy:
    """Finds the port on this machine behind a hostname in the cluster."""

    def __init__(
        self, api: ApiClient, kubelet: KubeletStub, services: Mapping[str, int], exporters: Mapping[str, int]
    ) -> None:
        """
        services   the ports of processes that replace a Service's simulated pods, keyed by `<service>.<namespace>`
        exporters  the same, for clients that call one of the pods by its address, as Prometheus does
        """
        self._api = api
        self._kubelet = kubelet
        self._services = services
        self._exporters = exporters
        self._cache: dict[str, tuple[float, Sequence[Object]]] = {}

    @contextmanager
    def run(self) -> Iterator[str]:
        """Serve while the context lasts; its value is the proxy's URL."""
        server = _Server((HOST, 0), _Handler)
        server.network = self
        with serve_in_thread(server):
            yield f"http://{HOST}:{server.server_address[1]}"

    def render_metrics(self) -> str:
        return self._kubelet.render_metrics()

    def find_port(self, host: str, path: str, port: int = _HTTP_PORT) -> int | None:
        """The port of one of the processes behind a hostname; None if there is none. Raises _NoMatchError."""
        if host.endswith(_DOMAIN):
            service, namespace = host.removesuffix(_DOMAIN).split(".", 1)
            return self._services.get(f"{service}.{namespace}") or self._find_service_port(namespace, service, port)
        return self._kubelet.find_port(host, port) or self._find_replaced_pod(host) or self._find_route_port(host, path)

    def _find_replaced_pod(self, address: str) -> int | None:
        """The port of the process that replaces one of the simulated pods, found by the pod's address."""
        for endpoint_slice in self._list("discovery.k8s.io/v1", "EndpointSlice"):
            metadata = endpoint_slice["metadata"]
            service = metadata.get("labels", {}).get("kubernetes.io/service-name")
            port = self._exporters.get(f"{service}.{metadata['namespace']}")
            if port and any(address in endpoint["addresses"] for endpoint in endpoint_slice.get("endpoints") or ()):
                return port
        return None

    def _find_service_port(self, namespace: str, name: str, port: int) -> int | None:
        addresses = [
            (address, self._find_target_port(namespace, name, port, endpoint_slice))
            for endpoint_slice in self._list("discovery.k8s.io/v1", "EndpointSlice")
            if endpoint_slice["metadata"]["namespace"] == namespace
            and endpoint_slice["metadata"].get("labels", {}).get("kubernetes.io/service-name") == name
            for endpoint in endpoint_slice.get("endpoints") or ()
            if endpoint["conditions"].get("ready")
            for address in endpoint["addresses"]
        ]
        # Load balancing needs no cryptographic randomness.
        return self._kubelet.find_port(*random.choice(addresses)) if addresses else None  # noqa: S311

    def _find_target_port(self, namespace: str, name: str, port: int, endpoint_slice: Object) -> int | None:
        """The containers' port behind a port of a Service, which has the same name in its EndpointSlices."""
        ports = endpoint_slice.get("ports") or ()
        targets: Mapping[str, int] = {str(each.get("name") or ""): each["port"] for each in ports}
        if len(targets) == 1:
            return next(iter(targets.values()))
        for service in self._list("v1", "Service"):
            if (service["metadata"]["namespace"], service["metadata"]["name"]) == (namespace, name):
                names = [str(each.get("name") or "") for each in service["spec"]["ports"] if each["port"] == port]
                return next((targets[each] for each in names if each in targets), None)
        return None

    def _find_route_port(self, host: str, path: str) -> int | None:
        routes = [
            route
            for route in self._list("gateway.networking.k8s.io/v1", "HTTPRoute")
            if host in route["spec"].get("hostnames", ()) and _is_accepted(route)
        ]
        if not routes:
            return None
        route, rule = _find_rule(routes, path)
        backends = rule["backendRefs"]
        weights = [backend.get("weight", 1) for backend in backends]
        if not any(weights):
            return None
        (backend,) = random.choices(backends, weights)  # noqa: S311
        namespace, port = route["metadata"]["namespace"], backend.get("port", _HTTP_PORT)
        return self._find_service_port(namespace, backend["name"], port)

    def _list(self, api_version: str, kind: str) -> Sequence[Object]:
        now = time.monotonic()
        listed_at, objects = self._cache.get(kind, (0.0, ()))
        if now - listed_at > _CACHE_TIME:
            objects = self._api.list(api_version, kind)
            self._cache[kind] = (now, objects)
        return objects


def _is_accepted(route: Object) -> bool:
    parents = route.get("status", {}).get("parents", ())
    conditions = [condition for parent in parents for condition in parent["conditions"]]
    return any(condition["type"] == "Accepted" and condition["status"] == "True" for condition in conditions)


def _find_rule(routes: Sequence[Object], path: str) -> tuple[Object, Object]:
    """The route and the rule with the most specific match of a path: an exact one, or else the longest prefix.

    Among equals the first, as in https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule. Raises _NoMatchError.
    """
    found = [
        (_rate_match(match.get("path", {})), route, rule)
        for route in routes
        for rule in route["spec"]["rules"]
        for match in rule.get("matches") or [{}]
        if _matches(match.get("path", {}), path)
    ]
    if not found:
        raise _NoMatchError
    _, route, rule = max(found, key=lambda each: each[0])
    return route, rule


def _rate_match(match: Mapping[str, str]) -> tuple[bool, int]:
    return match.get("type") == "Exact", len(match.get("value", "/"))


def _matches(match: Mapping[str, str], path: str) -> bool:
    value = match.get("value", "/")
    if match.get("type", "PathPrefix") == "Exact":
        return path == value
    return path == value or path.startswith(value.rstrip("/") + "/")


class _Server(ThreadingHTTPServer):
    network: NetworkProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that close their connection."""


class _Handler(SilentHandler):
    """Forwards a request to the process behind its URL."""

    server: _Server

    def _handle(self) -> None:
        target = urlsplit(self.path if "://" in self.path else f"http:/{self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self._respond(*self._forward(target, body))
        except (OSError, http.client.HTTPException, ApiError, ApiUnreachableError) as error:
            self._respond(502, [], f"{type(error).__name__}\n".encode())

    def _forward(self, target: SplitResult, body: bytes) -> _Response:
        if target.hostname == METRICS_HOST:
            return 200, [("Content-Type", "text/plain")], self.server.network.render_metrics().encode()
        try:
            port = self.server.network.find_port(target.hostname or "", target.path or "/", target.port or _HTTP_PORT)
        except _NoMatchError:
            return 404, [], f"no route of {target.hostname} matches {target.path}\n".encode()
        if port is None:
            return 503, [], f"no process is running for {target.hostname}\n".encode()
        connection = http.client.HTTPConnection(HOST, port, timeout=_RESPONSE_TIMEOUT)
        try:
            headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOP_BY_HOP_HEADERS}
            connection.request(self.command, f"{target.path or '/'}?{target.query}".rstrip("?"), body or None, headers)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()

    def _respond(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        dropped = {*_HOP_BY_HOP_HEADERS, "content-length"}
        self.respond(status, body, [(key, value) for key, value in headers if key.lower() not in dropped])

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 the library's names
