"""The proxy through which the API server reaches the cluster: webhooks, aggregated APIs, and the nodes' kubelets.

The API server is configured to open connections to services through this HTTP CONNECT proxy. A service may be backed by
a handler of the simulated cloud or by a real process on this machine. All others are backed by simulated pods, on whose
behalf the proxy answers: it allows every request that an admission webhook reviews, and counts the reviews. Connections
to a service without ready pods are refused, so the API server reports it as it reports any such service.

The protocol: https://kubernetes.io/docs/tasks/extend-kubernetes/setup-konnectivity/ (HTTPConnect over a Unix socket).
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

from rehearsal.kubernetes.client import ApiClient, ApiError, ApiUnreachableError, Object
from rehearsal.kubernetes.control_plane.ca_injector import CaInjector
from rehearsal.kubernetes.control_plane.certificates import CertificateAuthority, ServerContexts
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.control_plane.simulated_kubelet import KubeletHandler
from rehearsal.kubernetes.http_server import ConnectHandler, SilentHandler, serve_in_thread

# (method, path with its query, parsed body or None) -> (HTTP status, response body)
Handler = Callable[[str, str, Any], tuple[int, Any]]
Backend = Handler | tuple[str, int]  # or a process at (host, port)

_IDLE_TIMEOUT = 90  # seconds that a connection may be idle, as at the API server


class ServiceUnavailableError(Exception):
    """Nothing can be reached at an address; the message is the one that the API server has for such a service."""


@dataclass(frozen=True)
class Destination:
    """A service, and the process behind it; without a process, the proxy answers for it.

    is_kubelet  whether it is a simulated node's kubelet instead
    """

    namespace: str
    service: str
    process: tuple[str, int] | None = None
    is_kubelet: bool = False


class EgressProxy:
    """The proxy. It accepts connections while `run` lasts, and resolves services from `attach` on."""

    def __init__(self) -> None:
        self._backends: dict[tuple[str, str], Backend] = {}
        self._calls: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._services: _Services | None = None
        self._stop = threading.Event()

    @contextmanager
    def run(self) -> Iterator[None]:
        """Accept connections on the Unix socket `path` while the context lasts.

        `socket_folder` is for other sockets too: only this user can enter it, and its path is short, since a socket's
        path has at most 107 characters (https://man7.org/linux/man-pages/man7/unix.7.html).
        """
        with tempfile.TemporaryDirectory(prefix="groundwork-") as folder:
            self.socket_folder = Path(folder)
            self.path = self.socket_folder / "egress"
            server = _Server(str(self.path), _ConnectHandler)
            server.proxy = self
            with serve_in_thread(server):
                try:
                    yield
                finally:
                    self._stop.set()

    def attach(self, plane: ControlPlane) -> None:
        """Resolve services in this cluster from now on, and make the cluster trust the proxy's certificates."""
        injector = CaInjector(plane.api, plane.certificate_authority)
        injector.start(self._stop)
        self._services = _Services(plane.api, plane.certificate_authority, injector)

    def register(self, namespace: str, service: str, backend: Backend) -> None:
        """Register a handler or a process that answers for a service instead of the proxy.

        A handler answers on behalf of the service's pods: if the service selects pods, some have to be ready. A process
        answers for itself, and the API server's TLS connections are forwarded to it unchanged.
        """
        self._backends[namespace, service] = backend

    def simulated_webhook_calls(self) -> Mapping[str, int]:
        """The number of reviews that were allowed on behalf of simulated pods, keyed by webhook."""
        with self._counting:
            return dict(self._calls)

    def resolve(self, address: str) -> Destination:
        """The destination behind `<cluster IP>:<port>`. Raises ServiceUnavailableError."""
        if self._services is None:
            raise ServiceUnavailableError("the rehearsal's cluster is not attached yet")
        try:
            return self._resolve(self._services, address)
        except (ApiError, ApiUnreachableError) as error:
            raise ServiceUnavailableError(str(error)) from None

    def _resolve(self, services: _Services, address: str) -> Destination:
        if services.is_kubelet(address):
            return Destination("kube-system", "kubelet", is_kubelet=True)
        service = services.find(address)
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        backend = self._backends.get((namespace, name))
        if isinstance(backend, tuple):
            return Destination(namespace, name, process=backend)
        selects_pods = bool(service["spec"].get("selector"))
        if (selects_pods or backend is None) and not services.has_ready_pods(namespace, name):
            raise ServiceUnavailableError(f'no endpoints available for service "{name}"')
        return Destination(namespace, name)

    def tls_context(self, destination: Destination) -> ssl.SSLContext:
        """The context with the certificate of a service."""
        assert self._services is not None  # noqa: S101 the destination was resolved
        return self._services.tls_context(destination.namespace, destination.service)

    def find_handler(self, destination: Destination) -> Handler | None:
        """The handler that answers for a service; None if it has only simulated pods."""
        backend = self._backends.get((destination.namespace, destination.service))
        return None if isinstance(backend, tuple) else backend

    def answer_for_pods(self, destination: Destination, method: str, path: str, body: Any) -> tuple[int, Any]:
        """The response of simulated pods: reviews are allowed, and an aggregated API has no resources."""
        kind = body.get("kind") if isinstance(body, Mapping) else None
        if kind in _REVIEWS:
            assert self._services is not None  # noqa: S101 the destination was resolved
            webhook = self._services.injector.find_webhook(destination.namespace, destination.service, path)
            with self._counting:
                self._calls[webhook] += 1
            return 200, {**body, "response": {"uid": body["request"]["uid"], **_REVIEWS[kind](body["request"])}}
        parts = path.partition("?")[0].strip("/").split("/")
        if method == "GET" and len(parts) == 3 and parts[0] == "apis":
            group_version = f"{parts[1]}/{parts[2]}"
            return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": []}
        return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


def _allow(request: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001 every request is allowed
    return {"allowed": True}


def _convert(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Convert objects by changing only their version, as if the versions had no other differences."""
    converted = [{**item, "apiVersion": request["desiredAPIVersion"]} for item in request["objects"]]
    return {"convertedObjects": converted, "result": {"status": "Success"}}


_REVIEWS: Mapping[Any, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "AdmissionReview": _allow,
    "ConversionReview": _convert,
}


@dataclass
class _Services:
    """The services of an attached cluster, and the certificates with which they are served."""

    api: ApiClient
    authority: CertificateAuthority
    injector: CaInjector

    def __post_init__(self) -> None:
        self._tls_contexts = ServerContexts(self.authority)

    def find(self, address: str) -> Object:
        """The service at `<cluster IP>:<port>`. Raises ServiceUnavailableError."""
        host, _, port = address.rpartition(":")
        for service in self.api.list("v1", "Service"):
            ports = {str(each["port"]) for each in service["spec"].get("ports", ())}
            if service["spec"].get("clusterIP") == host and port in ports:
                return service
        raise ServiceUnavailableError(f"no service has the address {address}")

    def is_kubelet(self, address: str) -> bool:
        """Whether `<host>:<port>` is on a node, where the API server connects only to the kubelet."""
        host = address.rpartition(":")[0]
        nodes = self.api.list("v1", "Node")
        return any(host == item["address"] for node in nodes for item in node["status"].get("addresses", ()))

    def has_ready_pods(self, namespace: str, service: str) -> bool:
        label_selector = f"kubernetes.io/service-name={service}"
        slices = self.api.list("discovery.k8s.io/v1", "EndpointSlice", namespace, label_selector=label_selector)
        endpoints = (endpoint for each in slices for endpoint in each.get("endpoints") or ())
        return any(endpoint.get("conditions", {}).get("ready", True) for endpoint in endpoints)

    def tls_context(self, namespace: str, service: str) -> ssl.SSLContext:
        name = f"{service}.{namespace}.svc"
        return self._tls_contexts.find(name, f"{name}.cluster.local")


class _Server(ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False  # a silent connection must not delay the shutdown
    request_queue_size = 128  # a release may create dozens of objects at once, each reviewed by a webhook
    proxy: EgressProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: the API server reports broken connections itself."""


class _ConnectHandler(ConnectHandler):
    """Handles one CONNECT request, and the connection that it opens."""

    server: _Server

    def open_tunnel(self) -> None:
        proxy = self.server.proxy
        try:
            destination = proxy.resolve(self.path)
            process = socket.create_connection(destination.process, _IDLE_TIMEOUT) if destination.process else None
        except (ServiceUnavailableError, OSError) as error:
            self.refuse_tunnel(503, str(error))
            return
        self.accept_tunnel()
        if process is None:
            self._serve(proxy, destination)
        else:
            _forward(self.connection, process)

    def _serve(self, proxy: EgressProxy, destination: Destination) -> None:
        self.connection.settimeout(_IDLE_TIMEOUT)
        with proxy.tls_context(destination).wrap_socket(self.connection, server_side=True) as secure:
            if destination.is_kubelet:
                KubeletHandler(secure, self.client_address, self.server)
            else:
                _ServiceHandler(secure, self.client_address, self.server, destination)


class _ServiceHandler(SilentHandler):
    """Handles the requests to one service on one connection."""

    server: _Server

    def __init__(self, connection: Any, client: Any, server: _Server, destination: Destination) -> None:
        self._destination = destination
        super().__init__(connection, client, server)

    def _handle_request(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        proxy = self.server.proxy
        if handler := proxy.find_handler(self._destination):
            status, answer = _call(handler, self.command, self.path, body)
        else:
            status, answer = proxy.answer_for_pods(self._destination, self.command, self.path, body)
            # The next request opens a new connection, which checks the pods' readiness again.
            self.close_connection = True
        headers = [("Content-Type", "application/json"), *([("Connection", "close")] if self.close_connection else [])]
        self.respond(status, json.dumps(answer).encode(), headers)

    do_GET = do_POST = _handle_request  # noqa: N815 http.server's names


def _call(handler: Handler, method: str, path: str, body: Any) -> tuple[int, Any]:
    """The response of a handler; if it raises, an error that the API server reports."""
    try:
        return handler(method, path, body)
    except Exception as error:
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 500}
        return 500, {**status, "reason": "InternalError", "message": f"the rehearsal's handler failed: {error!r}"}


def _forward(client: socket.socket, process: socket.socket) -> None:
    """Forward data between two connections in both directions until both are closed."""
    with process:
        back = threading.Thread(target=_copy, args=(process, client), daemon=True)
        back.start()
        _copy(client, process)
        back.join(_IDLE_TIMEOUT)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            sink.sendall(chunk)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
