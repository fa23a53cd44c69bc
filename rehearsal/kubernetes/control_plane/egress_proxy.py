"""What answers the API server where a real cluster has services: webhooks and aggregated APIs.

The API server reaches services through an HTTP CONNECT proxy, and this is it. Behind a service may be a handler of the
simulated cloud's, or a real process on this machine; behind all others are simulated pods, and for those it answers
here: it allows what an admission webhook is asked, and counts it. A service without ready pods is refused, so that the
API server says of it what it says of such a service anywhere.

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
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

from rehearsal.kubernetes.client import ApiClient, ApiError, ApiUnreachableError, Object
from rehearsal.kubernetes.control_plane.ca_injector import CaInjector
from rehearsal.kubernetes.control_plane.certificates import CertificateAuthority
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.http_server import serve_in_thread

# (method, path with its query, parsed body or None) -> (HTTP status, answer)
Handler = Callable[[str, str, Any], tuple[int, Any]]
Target = Handler | tuple[str, int]

_IDLE = 90  # seconds that a connection may be silent; the API server keeps its own as long


class EgressProxy:
    """The proxy; it serves while `running`, and looks services up from `attach` on."""

    def __init__(self) -> None:
        self._targets: dict[tuple[str, str], Target] = {}
        self._answered: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._cluster: _Cluster | None = None
        self._ended = threading.Event()

    @contextmanager
    def run(self) -> Iterator[None]:
        """Serve on the socket `path` for as long as the context lasts."""
        # In a short folder of its own, which only this user may enter: a socket's path has at most 107 characters.
        with tempfile.TemporaryDirectory(prefix="groundwork-") as folder:
            self.path = Path(folder) / "egress"
            server = _Server(str(self.path), _Tunnel)
            server.egress = self
            with serve_in_thread(server):
                try:
                    yield
                finally:
                    self._ended.set()

    def attach(self, plane: ControlPlane) -> None:
        """Look up services in this cluster from now on, and make it trust the answers given here."""
        trust = CaInjector(plane.api, plane.certificate_authority)
        trust.start(self._ended)
        self._cluster = _Cluster(plane.api, plane.certificate_authority, trust)

    def register(self, namespace: str, service: str, target: Target) -> None:
        """Let something else than a simulated pod answer for a service.

        A handler speaks for the service's pods: where the service selects pods, there must be ready ones. A process at
        (host, port) is there by itself; it gets the API server's TLS connections as they are.
        """
        self._targets[namespace, service] = target

    def simulated_webhook_calls(self) -> Mapping[str, int]:
        """The webhooks that were answered for because their pods are simulated, and how often each."""
        with self._counting:
            return dict(self._answered)

    def destination(self, address: str) -> Destination:
        """Who answers at `<cluster IP>:<port>`. Raises ServiceUnavailableError."""
        if self._cluster is None:
            raise ServiceUnavailableError("the rehearsal's cluster is not attached yet")
        try:
            return self._find(self._cluster, address)
        except (ApiError, ApiUnreachableError) as error:
            raise ServiceUnavailableError(str(error)) from None

    def _find(self, cluster: _Cluster, address: str) -> Destination:
        service = cluster.service(address)
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        target = self._targets.get((namespace, name))
        if isinstance(target, tuple):
            return Destination(namespace, name, process=target)
        selects = bool(service["spec"].get("selector"))
        if (selects or target is None) and not cluster.has_pods(namespace, name):
            raise ServiceUnavailableError(f'no endpoints available for service "{name}"')
        return Destination(namespace, name)

    def certificate(self, destination: Destination) -> ssl.SSLContext:
        assert self._cluster is not None  # noqa: S101 there was a destination
        return self._cluster.certificate(destination.namespace, destination.service)

    def handler(self, destination: Destination) -> Handler | None:
        """Who answers for a service; None where its simulated pods have nobody to speak for them."""
        target = self._targets.get((destination.namespace, destination.service))
        return None if isinstance(target, tuple) else target

    def answer_for_pods(self, destination: Destination, method: str, path: str, body: Any) -> tuple[int, Any]:
        """What simulated pods say: yes to reviews, and nothing to offer as an API."""
        kind = body.get("kind") if isinstance(body, Mapping) else None
        if kind in _REVIEWS:
            assert self._cluster is not None  # noqa: S101 there was a destination
            webhook = self._cluster.trust.webhook(destination.namespace, destination.service, path)
            with self._counting:
                self._answered[webhook] += 1
            return 200, {**body, "response": {"uid": body["request"]["uid"], **_REVIEWS[kind](body["request"])}}
        parts = path.partition("?")[0].strip("/").split("/")
        if method == "GET" and len(parts) == 3 and parts[0] == "apis":
            group = f"{parts[1]}/{parts[2]}"
            return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": []}
        return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


class ServiceUnavailableError(Exception):
    """Nothing can be reached at an address; the message is the API server's for such a service."""


@dataclass(frozen=True)
class Destination:
    """A service, and the process behind it; without one it is answered for here."""

    namespace: str
    service: str
    process: tuple[str, int] | None = None


def _allow(request: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001 whatever is asked
    return {"allowed": True}


def _convert(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The objects as they are, under the version that is asked for: what a conversion without differences does."""
    converted = [{**item, "apiVersion": request["desiredAPIVersion"]} for item in request["objects"]]
    return {"convertedObjects": converted, "result": {"status": "Success"}}


_REVIEWS: Mapping[Any, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "AdmissionReview": _allow,
    "ConversionReview": _convert,
}


@dataclass
class _Cluster:
    """The services of an attached control plane, and the certificates they prove themselves with."""

    api: ApiClient
    authority: CertificateAuthority
    trust: CaInjector

    def __post_init__(self) -> None:
        self._certificates: dict[tuple[str, str], ssl.SSLContext] = {}
        self._making = threading.Lock()

    def service(self, address: str) -> Object:
        host, _, port = address.rpartition(":")
        for service in self.api.list("v1", "Service"):
            ports = {str(each["port"]) for each in service["spec"].get("ports", ())}
            if service["spec"].get("clusterIP") == host and port in ports:
                return service
        raise ServiceUnavailableError(f"no service has the address {address}")

    def has_pods(self, namespace: str, service: str) -> bool:
        """Whether a service has an endpoint that is ready."""
        label = f"kubernetes.io/service-name={service}"
        slices = self.api.list("discovery.k8s.io/v1", "EndpointSlice", namespace, label_selector=label)
        endpoints = (one for each in slices for one in each.get("endpoints") or ())
        return any(one.get("conditions", {}).get("ready", True) for one in endpoints)

    def certificate(self, namespace: str, service: str) -> ssl.SSLContext:
        with self._making:
            if (namespace, service) not in self._certificates:
                name = f"{service}.{namespace}.svc"
                files = self.authority.issue_certificate(name, hosts=[name, f"{name}.cluster.local"])
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(files.cert_file, files.key_file)
                self._certificates[namespace, service] = context
            return self._certificates[namespace, service]


class _Server(ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False  # nobody waits for a silent connection
    request_queue_size = 128  # a release may bring dozens of objects at once that a webhook is asked of
    egress: EgressProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is the API server's business, and it says so itself."""


class _Tunnel(BaseHTTPRequestHandler):
    """One CONNECT, and what is said through it."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_CONNECT(self) -> None:
        self.close_connection = True
        egress = self.server.egress
        try:
            destination = egress.destination(self.path)
            process = socket.create_connection(destination.process, _IDLE) if destination.process else None
        except (ServiceUnavailableError, OSError) as nobody:
            self.send_response_only(503, str(nobody))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response_only(200, "Connection established")
        self.end_headers()
        if process is None:
            self._converse(egress, destination)
        else:
            _splice(self.connection, process)

    def _converse(self, egress: EgressProxy, destination: Destination) -> None:
        self.connection.settimeout(_IDLE)
        with egress.certificate(destination).wrap_socket(self.connection, server_side=True) as secure:
            _Conversation(secure, self.client_address, self.server, destination)

    def log_message(self, *_: Any) -> None:
        """The rehearsal's output is for the rehearsal."""


class _Conversation(BaseHTTPRequestHandler):
    """Requests to one service."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def __init__(self, connection: Any, client: Any, server: _Server, destination: Destination) -> None:
        self._destination = destination
        super().__init__(connection, client, server)

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        egress = self.server.egress
        if handler := egress.handler(self._destination):
            status, answer = _asked(handler, self.command, self.path, body)
        else:
            status, answer = egress.answer_for_pods(self._destination, self.command, self.path, body)
            # Whether there are still pods is asked anew each time.
            self.close_connection = True
        content = json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815 their names

    def log_message(self, *_: Any) -> None:
        """The rehearsal's output is for the rehearsal."""


def _asked(handler: Handler, method: str, path: str, body: Any) -> tuple[int, Any]:
    """What a handler answers; should it break, the API server is to say so rather than nothing."""
    try:
        return handler(method, path, body)
    except Exception as error:
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 500}
        return 500, {**status, "reason": "InternalError", "message": f"the rehearsal's stand-in failed: {error!r}"}


def _splice(one: socket.socket, other: socket.socket) -> None:
    """Pass on what each says to the other until both have finished."""
    with other:
        back = threading.Thread(target=_pass_on, args=(other, one), daemon=True)
        back.start()
        _pass_on(one, other)
        back.join(_IDLE)


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while said := source.recv(65536):
            sink.sendall(said)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
