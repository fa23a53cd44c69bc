"""A stand-in for the cluster's network, as an HTTP proxy: names of services, addresses of pods, hostnames of routes.

Whoever gets it as `http_proxy` reaches `http://<service>.<namespace>.svc.cluster.local` by the Service's real
EndpointSlices, a pod by its address, and a route's hostname by the weights of the real HTTPRoute, once its gateway has
accepted it. Network policies are not enforced.
"""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, urlsplit

from rehearsal.kubernetes.client import ApiClient, ApiError, ApiUnreachableError, Object
from rehearsal.kubernetes.control_plane.control_plane import HOST
from rehearsal.kubernetes.http_server import serve_in_thread
from rehearsal.scenarios.kubelet_stub import KubeletStub

METRICS = "kubelet.rehearsal"  # the name at which the kubelets' stand-in tells of its pods

_Answer = tuple[int, Sequence[tuple[str, str]], bytes]  # HTTP status, headers, content

_MEMORY = 0.3  # seconds for which what the API server said is used again: kube-proxy and gateways lag behind as well
_PATIENCE = 60.0  # seconds for an answer
_DOMAIN = ".svc.cluster.local"
_HOP = {"connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer", "transfer-encoding"}


class NetworkProxy:
    """Finds the port on this machine that a name in the cluster stands for.

    `known` are services whose pods are simulated, with the port of the process that does their work here, by
    `<service>.<namespace>`.
    """

    def __init__(self, api: ApiClient, kubelet: KubeletStub, known: Mapping[str, int]) -> None:
        self._api = api
        self._kubelet = kubelet
        self._known = known
        self._remembered: dict[str, tuple[float, Sequence[Object]]] = {}

    @contextmanager
    def run(self) -> Iterator[str]:
        """The proxy's address, for as long as the context lasts."""
        server = _Server((HOST, 0), _Handler)
        server.network = self
        with serve_in_thread(server):
            yield f"http://{HOST}:{server.server_address[1]}"

    def metrics(self) -> str:
        return self._kubelet.metrics()

    def port(self, host: str) -> int | None:
        """The port of one process behind a name, None where nothing answers to it."""
        if host.endswith(_DOMAIN):
            service, namespace = host.removesuffix(_DOMAIN).split(".", 1)
            return self._known.get(f"{service}.{namespace}") or self._service(namespace, service)
        return self._kubelet.port(host) or self._route(host)

    def _service(self, namespace: str, name: str) -> int | None:
        slices = self._list("discovery.k8s.io/v1", "EndpointSlice")
        addresses = [
            address
            for each in slices
            if each["metadata"]["namespace"] == namespace
            and each["metadata"].get("labels", {}).get("kubernetes.io/service-name") == name
            for endpoint in each.get("endpoints") or ()
            if endpoint["conditions"].get("ready")
            for address in endpoint["addresses"]
        ]
        return self._kubelet.port(random.choice(addresses)) if addresses else None  # noqa: S311 (no secret hangs on it)

    def _route(self, host: str) -> int | None:
        for route in self._list("gateway.networking.k8s.io/v1", "HTTPRoute"):
            if host in route["spec"].get("hostnames", ()) and _accepted(route):
                backends = route["spec"]["rules"][0]["backendRefs"]
                weights = [each.get("weight", 1) for each in backends]
                chosen = random.choices(backends, weights)[0] if any(weights) else None  # noqa: S311
                return self._service(route["metadata"]["namespace"], chosen["name"]) if chosen else None
        return None

    def _list(self, api_version: str, kind: str) -> Sequence[Object]:
        now = time.monotonic()
        since, found = self._remembered.get(kind, (0.0, ()))
        if now - since > _MEMORY:
            found = self._api.list(api_version, kind)
            self._remembered[kind] = (now, found)
        return found


def _accepted(route: Object) -> bool:
    parents = route.get("status", {}).get("parents", ())
    conditions = [condition for parent in parents for condition in parent["conditions"]]
    return any(each["type"] == "Accepted" and each["status"] == "True" for each in conditions)


class _Server(ThreadingHTTPServer):
    network: NetworkProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is nobody's fault."""


class _Handler(BaseHTTPRequestHandler):
    """Passes a request on to the process that its address stands for."""

    server: _Server
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        target = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self._answer(*self._asked(target, body))
        except (OSError, http.client.HTTPException, ApiError, ApiUnreachableError) as error:
            self._answer(502, [], f"{type(error).__name__}\n".encode())

    def _asked(self, target: SplitResult, body: bytes) -> _Answer:
        if target.hostname == METRICS:
            return 200, [("Content-Type", "text/plain")], self.server.network.metrics().encode()
        port = self.server.network.port(target.hostname or "")
        if port is None:
            return 503, [], f"nothing answers to {target.hostname}\n".encode()
        connection = http.client.HTTPConnection(HOST, port, timeout=_PATIENCE)
        try:
            headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOP}
            connection.request(self.command, f"{target.path or '/'}?{target.query}".rstrip("?"), body or None, headers)
            reply = connection.getresponse()
            return reply.status, reply.getheaders(), reply.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for key, value in headers:
            if key.lower() not in {*_HOP, "content-length"}:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815 (the library calls them so)

    def log_message(self, *_: Any) -> None:
        """What failed is the caller's to tell."""
