"""The kubelet stub and the network proxy, with real processes behind the pods of a real control plane.

Proves that a labelled pod gets a process with the arguments, the environment and the Secrets of its manifest, once
these exist; that it becomes Ready when the process is ready, and not before; that an exited process is restarted and
counted, and a deleted pod's process stopped; that services and routes lead to the processes of ready pods, routes
according to their weights; that each container of a StatefulSet's pod has a process, a port and the pod's volume, which
outlives the pod; that a running pod gets the changes of a ConfigMap; and that a Job has the result and the message of
its process. The processes are toys, and the test itself sets the route's accepted condition.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.scenarios.container_process import ImageProgram
from rehearsal.scenarios.kubelet_stub import PROCESS_LABEL, KubeletStub
from rehearsal.scenarios.network_proxy import METRICS_HOST, NetworkProxy
from tests.support.chart_installation import apply_gateway_api_definitions
from tests.support.waiting import eventually

_SERVER = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

if "EXIT" in os.environ:
    Path(sys.argv[2]).write_text(os.environ["COPY"])
    sys.exit(int(os.environ["EXIT"]))

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        switch = Path(os.environ["MAY_BE_READY"])
        ready = switch.exists()
        if self.path == "/ready":
            with switch.with_name("probes").open("a") as probes:
                probes.write("x")
        self.send_response(200 if self.path != "/ready" or ready else 503)
        self.end_headers()
        facts = {"pid": os.getpid(), "arguments": sys.argv[1:], "colour": os.environ["COLOUR"]}
        if "SECRETS_DIR" in os.environ:
            facts["secret"] = Path(os.environ["SECRETS_DIR"], "token").read_text()
        else:
            facts |= {"folder": os.environ["FOLDER"], "setting": Path(os.environ["SETTING"]).read_text()}
        self.wfile.write(json.dumps({"who": os.environ["WHO"], "path": self.path, **facts}).encode())

    def log_message(self, *_):
        pass

port = os.environ.get("TOY_PORT") or os.environ["PORT"]
HTTPServer((os.environ["HOST"], int(port)), Handler).serve_forever()
"""
_ROUTE = "gateway.networking.k8s.io/v1"
_REQUESTS = 200


@pytest.fixture
def switch(tmp_path: Path) -> Path:
    """The processes are ready while this file exists."""
    return tmp_path / "ready"


@pytest.fixture
def kubelet(plane: ControlPlane) -> Iterator[KubeletStub]:
    running = KubeletStub(plane, {"toy": ImageProgram([sys.executable, "-c", _SERVER], {"COLOUR": "blue"})})
    with running.run():
        yield running


@pytest.fixture
def proxy(plane: ControlPlane, kubelet: KubeletStub) -> Iterator[str]:
    with NetworkProxy(plane.api, kubelet, {}, {}).run() as address:
        yield address


def test_a_pod_is_ready_when_its_process_is_ready(
    plane: ControlPlane, namespace: str, kubelet: KubeletStub, proxy: str, switch: Path
) -> None:
    _deploy(plane, namespace, "web", switch)
    (pod,) = eventually(lambda: _pods(plane, namespace, phase="Running"))
    eventually(lambda: _get_answer(proxy, f"http://{pod['status']['podIP']}:8000/"))
    probes = switch.with_name("probes")
    eventually(lambda: probes.exists() and len(probes.read_text()) >= 3)
    assert not _is_ready(_pods(plane, namespace)[0])
    assert _request(proxy, f"http://web.{namespace}.svc.cluster.local/").status_code == 503

    switch.touch()

    eventually(lambda: _is_ready(_pods(plane, namespace)[0]))
    answer = eventually(lambda: _get_answer(proxy, f"http://web.{namespace}.svc.cluster.local/"))
    assert answer["who"] == "web"
    assert _get_answer(proxy, f"http://{pod['status']['podIP']}:8000/") == answer
    assert kubelet.find_port(pod["status"]["podIP"])
    assert answer["arguments"] == ["serve", "--fast"]
    assert answer["secret"] == "token of web"
    assert answer["colour"] == "blue", "the program's own environment takes precedence"


@pytest.mark.usefixtures("kubelet")
def test_a_pod_waits_for_the_secret_that_it_mounts(
    plane: ControlPlane, namespace: str, proxy: str, switch: Path
) -> None:
    switch.touch()
    _deploy(plane, namespace, "web", switch, with_secret=False)
    eventually(lambda: [pod for pod in _pods(plane, namespace) if pod["spec"].get("nodeName")])
    assert not _pods(plane, namespace, phase="Running")
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"token": "late"}}
    plane.api.create({**secret, "metadata": {"name": "web-token", "namespace": namespace}})
    assert eventually(lambda: _get_answer(proxy, f"http://web.{namespace}.svc.cluster.local/"))["secret"] == "late"
    # As MLflow, which uses no proxies, calls a webhook.
    answer = _get_answer("", f"{proxy}/web.{namespace}.svc.cluster.local/hooks/one")
    assert answer["path"] == "/hooks/one"


@pytest.mark.usefixtures("kubelet")
def test_an_exited_process_is_restarted_and_counted(
    plane: ControlPlane, namespace: str, proxy: str, switch: Path
) -> None:
    switch.touch()
    _deploy(plane, namespace, "web", switch)
    url = f"http://web.{namespace}.svc.cluster.local/"
    before = eventually(lambda: _get_answer(proxy, url))

    os.kill(before["pid"], signal.SIGKILL)

    eventually(lambda: _get_answer(proxy, url).get("pid", before["pid"]) != before["pid"])
    (pod,) = _pods(plane, namespace)
    labels = f'namespace="{namespace}",pod="{pod["metadata"]["name"]}",container="main"'
    counted = f"kube_pod_container_status_restarts_total{{{labels}}} 1"
    assert counted in _request(proxy, f"http://{METRICS_HOST}/metrics").text.splitlines()
    eventually(lambda: _pods(plane, namespace)[0]["status"]["containerStatuses"][0]["restartCount"] == 1)


@pytest.mark.usefixtures("kubelet")
def test_a_process_is_stopped_with_its_pod(plane: ControlPlane, namespace: str, proxy: str, switch: Path) -> None:
    switch.touch()
    _deploy(plane, namespace, "web", switch)
    process = eventually(lambda: _get_answer(proxy, f"http://web.{namespace}.svc.cluster.local/"))["pid"]

    plane.api.delete("apps/v1", "Deployment", "web", namespace)

    eventually(lambda: not _pods(plane, namespace))
    eventually(lambda: not Path(f"/proc/{process}").exists())


@pytest.mark.usefixtures("kubelet")
def test_an_accepted_route_splits_requests_by_weight(
    plane: ControlPlane, namespace: str, proxy: str, switch: Path
) -> None:
    apply_gateway_api_definitions(plane)
    switch.touch()
    for name in ("old", "new"):
        _deploy(plane, namespace, name, switch)
        eventually(partial(_get_answer, proxy, f"http://{name}.{namespace}.svc.cluster.local/"))
    host = f"http://{namespace}.example.com/"
    route = plane.api.create(_route(namespace, {"old": 75, "new": 25}))
    assert _request(proxy, host).status_code == 503, "no gateway has accepted it"

    plane.api.patch(route, {"status": {"parents": [_accepted_parent()]}}, "/status")

    eventually(lambda: _get_answer(proxy, host))
    counts = Counter(_get_answer(proxy, host)["who"] for _ in range(_REQUESTS))
    # With 200 requests at 25 %, fewer than 25 or more than 80 have a probability of 1e-5.
    assert 25 <= counts["new"] <= 80, counts
    assert counts["old"] + counts["new"] == _REQUESTS


@pytest.mark.usefixtures("kubelet")
def test_the_containers_of_a_stateful_sets_pod_share_a_volume_that_outlives_it(
    plane: ControlPlane, namespace: str, proxy: str, switch: Path
) -> None:
    switch.touch()
    settings = _create(plane, "v1", "ConfigMap", "settings", namespace, data={"who.txt": "first"})
    containers = [_container(name, port, switch) for name, port in (("one", 8000), ("two", 8001))]
    volumes = [
        {"name": "secrets", "secret": {"secretName": "none", "optional": True}},
        {"name": "settings", "configMap": {"name": "settings", "items": [{"key": "who.txt", "path": "renamed"}]}},
    ]
    spec = {
        "serviceName": "pair",
        "replicas": 1,
        "selector": {"matchLabels": {"app": "pair"}},
        "template": {
            "metadata": {"labels": {"app": "pair", PROCESS_LABEL: "real"}},
            "spec": {"containers": containers, "volumes": volumes},
        },
        "volumeClaimTemplates": [
            {
                "metadata": {"name": "data"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": "",
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            }
        ],
    }
    _create_volume(plane, namespace, "data-pair-0")
    _create(plane, "apps/v1", "StatefulSet", "pair", namespace, spec=spec)
    ports = [{"name": name, "port": port, "targetPort": port + 7920} for name, port in (("one", 80), ("two", 81))]
    _create(plane, "v1", "Service", "pair", namespace, spec={"selector": {"app": "pair"}, "ports": ports})
    host = f"http://pair.{namespace}.svc.cluster.local"

    one = eventually(lambda: _get_answer(proxy, f"{host}/"))
    two = eventually(lambda: _get_answer(proxy, f"{host}:81/"))

    assert (one["who"], two["who"]) == ("one", "two")
    assert one["folder"] == two["folder"]
    (pod,) = _pods(plane, namespace, phase="Running")
    assert [each["name"] for each in pod["status"]["containerStatuses"]] == ["one", "two"]
    assert one["setting"] == "first"
    plane.api.patch(settings, {"data": {"who.txt": "second"}})
    assert eventually(lambda: _get_answer(proxy, f"{host}/").get("setting") == "second")
    plane.api.delete("v1", "Pod", "pair-0", namespace)
    replaced = eventually(lambda: _find_other(_get_answer(proxy, f"{host}/"), one["pid"]))
    assert replaced["folder"] == one["folder"], "the claim's"


@pytest.mark.usefixtures("kubelet")
@pytest.mark.parametrize(("code", "condition", "phase"), [(0, "Complete", "Succeeded"), (3, "Failed", "Failed")])
def test_a_job_has_the_result_of_its_process(
    plane: ControlPlane, namespace: str, code: int, condition: str, phase: str
) -> None:
    environment = {"WHO": "job", "EXIT": str(code), "COPY": "$(WHO) of $(NONE), $$(WHO)"}
    container = {
        "name": "main",
        "image": "registry.example/toy:1",
        "args": ["--report", "/dev/termination-log"],
        "terminationMessagePath": "/dev/termination-log",
        "env": [{"name": name, "value": value} for name, value in environment.items()],
    }
    template = {
        "metadata": {"labels": {PROCESS_LABEL: "real"}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    _create(plane, "batch/v1", "Job", "once", namespace, spec={"backoffLimit": 0, "template": template})

    def has_ended() -> bool:
        job = plane.api.get("batch/v1", "Job", "once", namespace) or {}
        conditions = job.get("status", {}).get("conditions") or ()
        return condition in [each["type"] for each in conditions if each["status"] == "True"]

    eventually(has_ended)
    (pod,) = _pods(plane, namespace, phase=phase)
    terminated = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["message"]) == (code, "job of $(NONE), $(WHO)")


def test_the_response_for_an_unknown_hostname_is_503(proxy: str) -> None:
    reply = _request(proxy, "http://nobody.nowhere.svc.cluster.local/")
    assert (reply.status_code, reply.text) == (503, "no process is running for nobody.nowhere.svc.cluster.local\n")


def _deploy(plane: ControlPlane, namespace: str, name: str, switch: Path, *, with_secret: bool = True) -> None:
    """Create a Deployment with one pod, the Secret that the pod mounts, and a Service for it."""
    labels = {"app": name}
    environment = {"WHO": name, "MAY_BE_READY": str(switch), "SECRETS_DIR": "/run/secrets/toy", "COLOUR": "red"}
    container = {
        "name": "main",
        "image": "registry.example/toy:1",
        "args": ["serve", "--fast"],
        "env": [{"name": variable, "value": value} for variable, value in environment.items()],
        "volumeMounts": [{"name": "secrets", "mountPath": "/run/secrets/toy"}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8000}},
    }
    pod = {
        "metadata": {"labels": {**labels, PROCESS_LABEL: "real"}},
        "spec": {
            "containers": [container],
            "volumes": [{"name": "secrets", "projected": {"sources": [{"secret": {"name": f"{name}-token"}}]}}],
        },
    }
    token = {"apiVersion": "v1", "kind": "Secret", "stringData": {"token": f"token of {name}"}}
    token["metadata"] = {"name": f"{name}-token", "namespace": namespace}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod}
    port = {"port": 80, "targetPort": 8000}
    if with_secret:
        plane.api.create(token)
    for manifest in (
        {"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "spec": {"selector": labels, "ports": [port]}},
    ):
        plane.api.create({**manifest, "metadata": {"name": name, "namespace": namespace}})


def _container(name: str, port: int, switch: Path) -> Mapping[str, Any]:
    environment = {"WHO": name, "MAY_BE_READY": str(switch), "TOY_PORT": str(port), "FOLDER": "/data"}
    environment |= {"SETTING": "/etc/toy/renamed", "COLOUR": "red"}
    return {
        "name": name,
        "image": "registry.example/toy:1",
        "env": [{"name": variable, "value": value} for variable, value in environment.items()],
        "ports": [{"containerPort": port}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "settings", "mountPath": "/etc/toy"}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": port}},
    }


def _create(plane: ControlPlane, api_version: str, kind: str, name: str, namespace: str, **fields: Any) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return plane.api.create({"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields})


def _create_volume(plane: ControlPlane, namespace: str, claim: str) -> None:
    """Create a volume for a claim, since no cloud does here."""
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "",
        "hostPath": {"path": "/data"},
        "claimRef": {"namespace": namespace, "name": claim},
    }
    metadata = {"name": f"{namespace}-{claim}"}
    plane.api.create({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec})


def _find_other(answer: Mapping[str, Any], pid: int) -> Mapping[str, Any]:
    """The answer if it is from a process other than `pid`, else an empty one."""
    return answer if answer.get("pid", pid) != pid else {}


def _route(namespace: str, weights: Mapping[str, int]) -> Object:
    backends = [{"name": name, "port": 80, "weight": weight} for name, weight in weights.items()]
    return {
        "apiVersion": _ROUTE,
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"hostnames": [f"{namespace}.example.com"], "rules": [{"backendRefs": backends}]},
    }


def _accepted_parent() -> Mapping[str, Any]:
    condition = {
        "type": "Accepted",
        "status": "True",
        "reason": "Accepted",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return {"parentRef": {"name": "gateway"}, "controllerName": "example.com/test", "conditions": [condition]}


def _pods(plane: ControlPlane, namespace: str, phase: str = "") -> list[Object]:
    pods = plane.api.list("v1", "Pod", namespace)
    return [pod for pod in pods if not phase or pod.get("status", {}).get("phase") == phase]


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _request(proxy: str, url: str) -> requests.Response:
    return requests.get(url, proxies={"http": proxy} if proxy else None, timeout=10)


def _get_answer(proxy: str, url: str) -> dict[str, Any]:
    reply = _request(proxy, url)
    return dict(reply.json()) if reply.ok else {}
