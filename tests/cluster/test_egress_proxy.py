"""The API server's connections to services in the cluster: webhooks, conversions, aggregated APIs.

Proves with a real API server that a webhook with simulated pods allows requests and is counted, that one without pods
fails or is skipped according to its failurePolicy, that objects are converted, and that registered handlers and
processes answer. The decisions of real webhooks are not tested here.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from rehearsal.kubernetes.client import ApiClient, ApiError, Object
from rehearsal.kubernetes.control_plane import programs
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy
from rehearsal.kubernetes.control_plane.simulated_kubelet import MESSAGE
from rehearsal.kubernetes.http_server import serve_in_thread
from tests.support.waiting import eventually

ADMISSION = "admissionregistration.k8s.io/v1"
_PROBE = "groundwork/probe"


def service(api: ApiClient, namespace: str, name: str, *, selects: bool = True) -> None:
    spec: dict[str, Any] = {"ports": [{"port": 443, "targetPort": 9443}]}
    if selects:
        spec["selector"] = {"app": name}
    metadata = {"name": name, "namespace": namespace}
    api.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})


def pods(api: ApiClient, namespace: str, name: str) -> None:
    """Create a Deployment of simulated pods behind the service of this name, and wait until one is ready."""
    labels = {"app": name}
    container = {"name": "server", "image": "example.com/server:1", "ports": [{"containerPort": 9443}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    api.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        }
    )
    selector = f"kubernetes.io/service-name={name}"

    def ready() -> bool:
        slices = api.list("discovery.k8s.io/v1", "EndpointSlice", namespace, label_selector=selector)
        return any(one["conditions"].get("ready") for each in slices for one in each.get("endpoints") or ())

    eventually(ready)


@pytest.fixture
def webhook(plane: ControlPlane, namespace: str) -> Iterator[Callable[..., str]]:
    """Creates a webhook for this test's ConfigMaps, and waits until it is trusted and in effect."""
    made: list[str] = []

    def make(name: str, policy: str = "Fail") -> str:
        full = f"{name}.{namespace}.example.com"
        made.append(full)
        config = {
            "name": full,
            "objectSelector": {"matchExpressions": [{"key": _PROBE, "operator": "DoesNotExist"}]},
            "clientConfig": {"service": {"name": name, "namespace": namespace, "path": "/review"}},
            "rules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
            ],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "failurePolicy": policy,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        kind = "ValidatingWebhookConfiguration"
        plane.api.create({"apiVersion": ADMISSION, "kind": kind, "metadata": {"name": full}, "webhooks": [config]})

        def trusted() -> bool:
            found = plane.api.get(ADMISSION, kind, full)
            return bool(found and found["webhooks"][0]["clientConfig"].get("caBundle"))

        eventually(trusted)
        eventually(lambda: _is_in_force(plane.api, namespace, kind, full))
        return full

    yield make
    for name in made:
        plane.api.delete(ADMISSION, "ValidatingWebhookConfiguration", name)


def config_map(api: ApiClient, namespace: str, name: str) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def test_a_webhook_with_simulated_pods_allows_and_is_counted(
    plane: ControlPlane, egress: EgressProxy, namespace: str, webhook: Callable[..., str]
) -> None:
    service(plane.api, namespace, "reviewer")
    pods(plane.api, namespace, "reviewer")
    name = webhook("reviewer")
    config_map(plane.api, namespace, "one")
    config_map(plane.api, namespace, "two")
    assert egress.simulated_webhook_calls()[name] == 2


def test_a_webhook_without_pods_is_the_api_servers_error(
    plane: ControlPlane, egress: EgressProxy, namespace: str, webhook: Callable[..., str]
) -> None:
    service(plane.api, namespace, "absent")
    name = webhook("absent")
    with pytest.raises(ApiError, match=f'failed calling webhook "{name}".*no endpoints available for service "absent"'):
        config_map(plane.api, namespace, "one")
    assert name not in egress.simulated_webhook_calls()


def test_a_webhook_without_a_service_is_an_error_that_names_it(
    plane: ControlPlane, namespace: str, webhook: Callable[..., str]
) -> None:
    name = webhook("nowhere")
    with pytest.raises(ApiError, match=f'failed calling webhook "{name}".*service "nowhere" not found'):
        config_map(plane.api, namespace, "one")


def test_a_webhook_without_pods_is_skipped_when_its_failure_policy_is_ignore(
    plane: ControlPlane, egress: EgressProxy, namespace: str, webhook: Callable[..., str]
) -> None:
    service(plane.api, namespace, "absent")
    name = webhook("absent", "Ignore")
    config_map(plane.api, namespace, "one")
    assert name not in egress.simulated_webhook_calls()


def test_a_webhook_fails_again_when_its_pods_are_deleted(
    plane: ControlPlane, namespace: str, webhook: Callable[..., str]
) -> None:
    service(plane.api, namespace, "reviewer")
    pods(plane.api, namespace, "reviewer")
    webhook("reviewer")
    config_map(plane.api, namespace, "one")
    plane.api.delete("apps/v1", "Deployment", "reviewer", namespace)

    def refused() -> bool:
        try:
            config_map(plane.api, namespace, f"after-{time.monotonic_ns()}")
        except ApiError as error:
            return "no endpoints available" in str(error)
        return False

    eventually(refused)


def test_a_registered_handler_answers_for_its_service(
    plane: ControlPlane, egress: EgressProxy, namespace: str, webhook: Callable[..., str]
) -> None:
    def refuse(method: str, path: str, body: Any) -> tuple[int, Any]:
        assert (method, path.partition("?")[0]) == ("POST", "/review")
        response = {"uid": body["request"]["uid"], "allowed": False, "status": {"message": "denied by the handler"}}
        return 200, {**body, "response": response}

    service(plane.api, namespace, "denier", selects=False)
    egress.register(namespace, "denier", refuse)
    webhook("denier")
    with pytest.raises(ApiError, match="denied by the handler"):
        config_map(plane.api, namespace, "one")


def test_an_exception_in_a_handler_is_a_failure_of_the_webhook(
    plane: ControlPlane, egress: EgressProxy, namespace: str, webhook: Callable[..., str]
) -> None:
    def broken(method: str, path: str, body: Any) -> tuple[int, Any]:
        raise KeyError(method, path, body["kind"])

    service(plane.api, namespace, "broken", selects=False)
    egress.register(namespace, "broken", broken)
    name = webhook("broken")
    with pytest.raises(ApiError, match=f'failed calling webhook "{name}".*handler failed'):
        config_map(plane.api, namespace, "one")


def test_a_registered_process_gets_the_api_servers_connection(
    plane: ControlPlane, egress: EgressProxy, namespace: str, webhook: Callable[..., str]
) -> None:
    server = _refusing(plane, f"real.{namespace}.svc")
    service(plane.api, namespace, "real", selects=False)
    egress.register(namespace, "real", ("127.0.0.1", server.server_port))
    webhook("real")
    with serve_in_thread(server), pytest.raises(ApiError, match="a real process says no"):
        config_map(plane.api, namespace, "one")


def test_a_webhook_is_trusted_before_it_has_a_ca_bundle(plane: ControlPlane, namespace: str) -> None:
    """The webhook has a URL, since the CA injector would add the bundle at once if it had a service."""
    with serve_in_thread(server := _refusing(plane, "127.0.0.1")):
        name = f"early.{namespace}.example.com"
        config = {
            "name": name,
            "clientConfig": {"url": f"https://127.0.0.1:{server.server_port}/review"},
            "rules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
            ],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        kind = "ValidatingWebhookConfiguration"
        plane.api.create({"apiVersion": ADMISSION, "kind": kind, "metadata": {"name": name}, "webhooks": [config]})
        eventually(lambda: "a real process says no" in _refusal(plane.api, namespace))
        plane.api.delete(ADMISSION, kind, name)


def _refusal(api: ApiClient, namespace: str) -> str:
    """Why no ConfigMap can be created; empty if one can."""
    try:
        config_map(api, namespace, f"early-{uuid.uuid4().hex}")
    except ApiError as error:
        return str(error)
    return ""


def test_objects_of_a_simulated_operator_are_converted(
    plane: ControlPlane, egress: EgressProxy, namespace: str
) -> None:
    service(plane.api, namespace, "operator")
    pods(plane.api, namespace, "operator")
    group = f"{namespace}.example.com"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    review = {
        "clientConfig": {"service": {"name": "operator", "namespace": namespace, "path": "/convert"}},
        "conversionReviewVersions": ["v1"],
    }
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"toys.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": "Toy", "plural": "toys"},
            "scope": "Namespaced",
            "conversion": {"strategy": "Webhook", "webhook": review},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": schema},
                {"name": "v1beta1", "served": True, "storage": False, "schema": schema},
            ],
        },
    }
    plane.api.create(crd)
    toy = {"apiVersion": f"{group}/v1beta1", "kind": "Toy", "metadata": {"name": "bear", "namespace": namespace}}

    def converted() -> bool:
        try:
            plane.api.apply(toy, "test")
        except ApiError:
            return False
        return True

    eventually(converted)
    found = plane.api.get(f"{group}/v1", "Toy", "bear", namespace)
    assert found is not None
    assert found["apiVersion"] == f"{group}/v1"
    assert egress.simulated_webhook_calls()[f"conversion of toys.{group}"] > 0
    plane.api.delete(crd["apiVersion"], crd["kind"], f"toys.{group}")  # type: ignore[arg-type]


def test_a_simulated_aggregated_api_is_available_and_empty(plane: ControlPlane, namespace: str) -> None:
    service(plane.api, namespace, "adapter")
    pods(plane.api, namespace, "adapter")
    group = f"{namespace}.metrics.example.com"
    backend = {"name": "adapter", "namespace": namespace}
    spec = {"group": group, "version": "v1", "service": backend, "groupPriorityMinimum": 100, "versionPriority": 100}
    named = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": f"v1.{group}"}}
    plane.api.create({**named, "spec": spec})

    def available() -> bool:
        found = plane.api.get("apiregistration.k8s.io/v1", "APIService", f"v1.{group}")
        conditions = found.get("status", {}).get("conditions", ()) if found else ()
        return any(one["type"] == "Available" and one["status"] == "True" for one in conditions)

    eventually(available)
    assert plane.api.request("GET", f"/apis/{group}/v1")["resources"] == []
    plane.api.delete("apiregistration.k8s.io/v1", "APIService", f"v1.{group}")


def _refusing(plane: ControlPlane, name: str) -> HTTPServer:
    """A server with its own certificate that denies every review."""

    class Refuse(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = {"message": "a real process says no"}
            review["response"] = {"uid": review["request"]["uid"], "allowed": False, "status": status}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(review).encode())

        def log_message(self, *_: Any) -> None:
            pass

    files = plane.certificate_authority.issue_certificate(name, hosts=[name])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert_file, files.key_file)
    server = HTTPServer(("127.0.0.1", 0), Refuse)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


def _is_in_force(api: ApiClient, namespace: str, kind: str, name: str) -> bool:
    """Whether the API server has loaded this version of the configuration, which takes about a second.

    A webhook whose match condition cannot be evaluated fails without being called. Once it fails, the other webhooks in
    the configuration are in effect too.
    """
    found = api.get(ADMISSION, kind, name)
    assert found is not None
    client_config = found["webhooks"][0]["clientConfig"]
    probe = {
        **found["webhooks"][0],
        "name": f"probe.{name}",
        # A different path, since calls are counted by service and path. The probe itself is never called.
        "clientConfig": {**client_config, "service": {**client_config["service"], "path": "/probe"}},
        "objectSelector": {"matchLabels": {_PROBE: name}},
        "failurePolicy": "Fail",
        "matchConditions": [{"name": "never", "expression": "object.absent == 'x'"}],
    }
    api.patch(found, {"webhooks": [found["webhooks"][0], probe]})
    metadata = {"generateName": "probe-", "namespace": namespace, "labels": {_PROBE: name}}
    try:
        api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    except ApiError:
        return True
    return False


@pytest.mark.parametrize("command", ["logs", "exec", "port-forward"])
def test_kubectl_shows_that_a_pod_is_simulated(plane: ControlPlane, namespace: str, command: str) -> None:
    service(plane.api, namespace, "silent")
    pods(plane.api, namespace, "silent")
    rest = {"exec": ["--", "ls"], "port-forward": ["0:9443"]}.get(command, [])
    reply = subprocess.run(
        [programs.paths()["kubectl"], "--namespace", namespace, command, "deployment/silent", *rest],
        env={**os.environ, "KUBECONFIG": str(plane.kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert reply.returncode != 0
    assert MESSAGE in reply.stderr
