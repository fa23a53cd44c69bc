"""When objects of each kind count as ready, and the messages about those that are not, with real controllers.

kwok simulates the pods: they start and end at once. The processes of real images are not tested here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from rehearsal.kubernetes.control_plane.control_plane import ControlPlane, run_control_plane
from rehearsal.kubernetes.provider import await_logic
from rehearsal.kubernetes.provider.errors import API_SERVER_LOST
from rehearsal.simulator.core.values import Values
from tests.support.provider_client import AbortedError, Engine
from tests.support.waiting import eventually

SHORT = 5.0  # seconds for objects that never become ready; the controllers report why within one


def pod_spec(**changed: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "registry.example.com/app:1", **changed.pop("container", {})}
    return {"containers": [container], **changed}


def thing(api_version: str, kind: str, namespace: str, name: str = "app", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, **fields.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def workload(kind: str, namespace: str, pod: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    labels = {"app": kind.lower()}
    template = {"metadata": {"labels": labels}, "spec": pod or pod_spec()}
    return thing("apps/v1", kind, namespace, spec={"selector": {"matchLabels": labels}, "template": template, **spec})


def job(namespace: str, code: str = "0", **spec: Any) -> dict[str, Any]:
    template = {
        "metadata": {"annotations": {"rehearsal.groundwork/exit-code": code}},
        "spec": pod_spec(restartPolicy="Never"),
    }
    return thing("batch/v1", "Job", namespace, spec={"template": template, "backoffLimit": 0, **spec})


def claim(namespace: str, **spec: Any) -> dict[str, Any]:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return thing("v1", "PersistentVolumeClaim", namespace, spec=wanted)


def service(namespace: str, **spec: Any) -> dict[str, Any]:
    return thing("v1", "Service", namespace, spec={"ports": [{"port": 80}], **spec})


HUGE = pod_spec(container={"resources": {"requests": {"cpu": "64"}}})


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_a_workload_is_ready_when_its_pods_are_ready(engine: Engine, namespace: str, kind: str) -> None:
    count: dict[str, Any] = {} if kind == "DaemonSet" else {"replicas": 2}
    resource = engine.resource(workload(kind, namespace, **count))
    outputs = resource.create().plain
    assert outputs["status"]["numberReady" if kind == "DaemonSet" else "readyReplicas"] == 2
    assert resource.diff(resource.inputs).changes == provider_pb2.DiffResponse.DIFF_NONE


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_an_update_waits_until_the_rollout_is_complete(engine: Engine, namespace: str, kind: str) -> None:
    resource = engine.resource(workload(kind, namespace, replicas=2))
    resource.create()
    changed = workload(kind, namespace, pod_spec(container={"image": "registry.example.com/app:2"}), replicas=2)
    status = resource.update(Values(changed)).plain["status"]
    assert (status["readyReplicas"], status["updatedReplicas"]) == (2, 2)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_the_message_quotes_the_scheduler_when_pods_fit_no_node(engine: Engine, namespace: str, kind: str) -> None:
    with pytest.raises(
        AbortedError, match=r"was not ready after 5 s: 0 of \d pods ready.*pod not scheduled.*Insuff"
    ) as caught:
        engine.resource(workload(kind, namespace, HUGE)).create(timeout=SHORT)
    assert f"{kind} {namespace}/app" in str(caught.value)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_the_message_quotes_admission_when_it_denies_pods(
    plane: ControlPlane, engine: Engine, namespace: str, kind: str
) -> None:
    level = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    plane.api.patch({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, level)
    with pytest.raises(AbortedError, match=r"violates PodSecurity.*securityContext"):
        engine.resource(workload(kind, namespace)).create(timeout=SHORT)


def test_the_message_names_the_exceeded_quota(engine: Engine, namespace: str) -> None:
    quota = engine.resource(thing("v1", "ResourceQuota", namespace, spec={"hard": {"pods": "1"}}))
    assert quota.create().plain["status"]["hard"] == {"pods": "1"}
    with pytest.raises(AbortedError, match=r"1 of 2 pods ready.*exceeded quota.*ResourceQuota"):
        engine.resource(workload("Deployment", namespace, replicas=2)).create(timeout=SHORT)


def test_an_object_that_does_not_become_ready_is_recorded_and_updated_by_the_next_run(
    engine: Engine, namespace: str
) -> None:
    resource = engine.resource(workload("Deployment", namespace, HUGE, replicas=1))
    with pytest.raises(AbortedError) as caught:
        resource.create(timeout=1)
    init_failed = caught.value.init_failed
    assert init_failed is not None
    assert init_failed.id == f"{namespace}/app"
    assert list(init_failed.reasons) == [str(caught.value)]
    assert resource.outputs.plain["metadata"]["uid"], "the state records the object"
    assert engine.journal[-1][3].startswith("refused: Deployment")

    repaired = Values(workload("Deployment", namespace, replicas=1))
    assert list(resource.diff(repaired).replaces) == []
    assert resource.update(repaired).plain["status"]["readyReplicas"] == 1


def test_an_update_that_does_not_become_ready_is_recorded(engine: Engine, namespace: str) -> None:
    resource = engine.resource(workload("Deployment", namespace))
    resource.create()
    with pytest.raises(AbortedError) as caught:
        resource.update(Values(workload("Deployment", namespace, HUGE)), timeout=1)
    assert caught.value.init_failed is not None
    resource.update(Values(workload("Deployment", namespace)))


def test_a_job_is_ready_when_it_has_succeeded(engine: Engine, namespace: str) -> None:
    assert engine.resource(job(namespace)).create().plain["status"]["succeeded"] == 1


def test_a_failed_job_is_an_error_before_the_timeout(engine: Engine, namespace: str) -> None:
    started = time.monotonic()
    with pytest.raises(AbortedError, match=r"Job .*app failed: \[BackoffLimitExceeded\]"):
        engine.resource(job(namespace, code="3")).create(timeout=40)
    assert time.monotonic() - started < 30


def test_a_failed_job_is_replaced_with_replace_unready(engine: Engine, namespace: str) -> None:
    manifest = job(namespace, code="1")
    manifest["metadata"]["annotations"] = {"pulumi.com/replaceUnready": "true"}
    resource = engine.resource(manifest)
    with pytest.raises(AbortedError):
        resource.create()
    found = resource.diff(resource.inputs)
    assert list(found.replaces) == ['metadata.annotations["pulumi.com/replaceUnready"]']
    assert found.deleteBeforeReplace


def test_the_message_names_a_suspended_job(engine: Engine, namespace: str) -> None:
    with pytest.raises(AbortedError, match=r"not ready after 1 s: the Job is suspended"):
        engine.resource(job(namespace, suspend=True)).create(timeout=1)


def test_a_pod_is_ready_when_it_runs(engine: Engine, namespace: str) -> None:
    outputs = engine.resource(thing("v1", "Pod", namespace, spec=pod_spec())).create().plain
    assert outputs["status"]["phase"] == "Running"


def test_the_message_quotes_the_scheduler_when_a_pod_fits_no_node(engine: Engine, namespace: str) -> None:
    message = r"Pod .*app was not ready after 5 s: \[Unschedulable\].*nodes are available"
    with pytest.raises(AbortedError, match=message):
        engine.resource(thing("v1", "Pod", namespace, spec=HUGE)).create(timeout=SHORT)


def test_the_message_names_a_claim_without_a_storage_class(engine: Engine, namespace: str) -> None:
    with pytest.raises(AbortedError, match=r"no volume is bound to it.*no storage class is set"):
        engine.resource(claim(namespace)).create(timeout=SHORT)


def test_the_message_names_the_missing_storage_class_of_a_claim(engine: Engine, namespace: str) -> None:
    with pytest.raises(AbortedError, match=r'storageclass.* "gone" not found'):
        engine.resource(claim(namespace, storageClassName="gone")).create(timeout=SHORT)


def test_a_claim_that_waits_for_its_first_consumer_is_ready(engine: Engine, namespace: str) -> None:
    class_ = {"provisioner": "example.com/disks", "volumeBindingMode": "WaitForFirstConsumer"}
    kept = engine.resource({**thing("storage.k8s.io/v1", "StorageClass", "", name=namespace), **class_})
    del kept.inputs.plain["metadata"]["namespace"]
    kept.create()
    assert engine.resource(claim(namespace, storageClassName=namespace)).create().plain["status"]["phase"] == "Pending"
    kept.delete()


def test_a_volume_and_the_claim_bound_to_it_are_ready(engine: Engine, namespace: str) -> None:
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/data"},
        "storageClassName": "by-hand",
    }
    volume = engine.resource(
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": namespace}, "spec": spec}
    )
    assert volume.create().plain["status"]["phase"] == "Available"
    bound = engine.resource(claim(namespace, storageClassName="by-hand", volumeName=namespace))
    assert bound.create().plain["status"]["phase"] == "Bound"
    bound.delete()
    volume.delete()


@pytest.mark.parametrize(
    "spec",
    [
        {"selector": {"app": "deployment"}},
        {"selector": {"app": "no-pod"}},
        {"clusterIP": "None", "selector": {"app": "no-pod"}},
        {"type": "ExternalName", "externalName": "example.com"},
        {},
    ],
)
def test_a_service_is_ready_when_none_of_its_pods_is_unready(
    engine: Engine, namespace: str, spec: dict[str, Any]
) -> None:
    engine.resource(workload("Deployment", namespace)).create()
    engine.resource(service(namespace, **spec)).create(timeout=10)


def test_the_message_names_a_service_without_a_load_balancer(engine: Engine, namespace: str) -> None:
    with pytest.raises(AbortedError, match=r"not ready after 1 s: no load balancer"):
        engine.resource(service(namespace, type="LoadBalancer", selector={"app": "x"})).create(timeout=1)


def test_a_service_with_a_load_balancer_is_ready(plane: ControlPlane, engine: Engine, namespace: str) -> None:
    resource = engine.resource(service(namespace, type="LoadBalancer"))
    with pytest.raises(AbortedError):
        resource.create(timeout=0.1)
    address = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}
    plane.api.patch(resource.inputs.plain, address, "/status")
    assert resource.update(resource.inputs).plain["status"]["loadBalancer"]["ingress"][0]["ip"] == "192.0.2.7"


def test_an_ingress_is_ready_when_it_has_an_address(plane: ControlPlane, engine: Engine, namespace: str) -> None:
    backend = {"service": {"name": "app", "port": {"number": 80}}}
    resource = engine.resource(thing("networking.k8s.io/v1", "Ingress", namespace, spec={"defaultBackend": backend}))
    with pytest.raises(AbortedError, match=r"no ingress controller gave it an address"):
        resource.create(timeout=0.5)
    address = {"status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}}
    plane.api.patch(resource.inputs.plain, address, "/status")
    resource.update(resource.inputs)


def test_a_service_account_token_is_waited_for(engine: Engine, namespace: str) -> None:
    def token(account: str) -> dict[str, Any]:
        annotations = {"kubernetes.io/service-account.name": account}
        fields = {"type": "kubernetes.io/service-account-token", "metadata": {"annotations": annotations}}
        return thing("v1", "Secret", namespace, account, **fields)

    engine.resource(thing("v1", "ServiceAccount", namespace, "robot")).create()
    outputs = engine.resource(token("robot")).create()
    assert outputs.plain["data"]["token"]
    assert outputs.secrets == {("data",)}


def definition(plural: str) -> dict[str, Any]:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    group = "awaiting.example.com"
    spec = {"group": group, "names": {"kind": "Crate", "plural": plural}, "scope": "Cluster", "versions": [version]}
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return {**kind, "metadata": {"name": f"{plural}.{group}"}, "spec": spec}


def test_a_custom_resource_definition_is_ready_when_objects_can_be_created(plane: ControlPlane, engine: Engine) -> None:
    resource = engine.resource(definition("crates"))
    resource.create()
    crate = {"apiVersion": "awaiting.example.com/v1", "kind": "Crate", "metadata": {"name": "c"}}
    engine.resource(crate).create()
    with pytest.raises(AbortedError, match=r"boxes.* was not ready after 5 s: \[ListKindConflict\]"):
        engine.resource(definition("boxes")).create(timeout=SHORT)
    for name in ("crates", "boxes"):
        plane.api.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{name}.awaiting.example.com")


def test_skip_await_does_not_wait(engine: Engine, namespace: str) -> None:
    manifest = workload("Deployment", namespace, HUGE)
    manifest["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
    engine.resource(manifest).create(timeout=0.1)


def test_the_timeout_annotation_counts_if_the_resource_sets_no_timeout(engine: Engine, namespace: str) -> None:
    manifest = workload("Deployment", namespace, HUGE)
    manifest["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "1"}
    with pytest.raises(AbortedError, match=r"not ready after 1 s"):
        engine.resource(manifest).create(timeout=0)


def test_no_wait_is_longer_than_the_maximum(engine: Engine, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(await_logic, "MAX_WAIT", 1.0)
    with pytest.raises(AbortedError, match=r"not ready after 1 s.*a rehearsal waits 1 s at most"):
        engine.resource(workload("Deployment", namespace, HUGE)).create(timeout=600)


@pytest.mark.parametrize(
    ("wanted", "ready"),
    [
        ("jsonpath={.data.state}=done", True),
        ("jsonpath={.data.state}", True),
        ('["jsonpath={.data.state}", "jsonpath={.data.more}"]', False),
        ("condition=Ready", False),
    ],
)
def test_the_wait_for_annotation_replaces_the_rule_of_the_kind(
    engine: Engine, namespace: str, wanted: str, ready: bool
) -> None:
    manifest = thing("v1", "ConfigMap", namespace, data={"state": "done"})
    manifest["metadata"]["annotations"] = {"pulumi.com/waitFor": wanted}
    resource = engine.resource(manifest)
    if ready:
        resource.create()
        return
    with pytest.raises(AbortedError, match=r"not ready after 0\.5 s: (jsonpath=\{\.data\.more\}|condition=Ready)"):
        resource.create(timeout=0.5)


def test_an_unsupported_wait_for_annotation_is_an_error(engine: Engine, namespace: str) -> None:
    manifest = thing("v1", "ConfigMap", namespace)
    manifest["metadata"]["annotations"] = {"pulumi.com/waitFor": "jsonpath={.items[?(@.a==1)]}"}
    with pytest.raises(AbortedError, match=r"does not support pulumi.com/waitFor"):
        engine.resource(manifest).create(timeout=0.5)


def test_an_api_server_that_ends_during_a_wait_is_one_message(tmp_path: Path) -> None:
    with run_control_plane(tmp_path, tmp_path / "no-egress") as plane:
        engine = Engine.create(plane)
        resource = engine.resource(workload("Deployment", "default"))
        stop = threading.Timer(1, plane.supervisor.stop, ["kube-apiserver"])
        stop.start()
        with pytest.raises(AbortedError, match=API_SERVER_LOST) as caught:
            resource.create(timeout=30)
        stop.join()
        assert caught.value.init_failed is not None, "the object had already been created"
        with pytest.raises(AbortedError, match=API_SERVER_LOST):
            resource.delete()


def test_a_namespace_is_deleted_soon_after_its_pods_despite_their_grace_period(
    plane: ControlPlane, namespace: str
) -> None:
    """A namespace controller that saw a pod with ten minutes of grace retries after five, unless it is triggered."""
    name = f"{namespace}-without-a-kubelet"
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    container = {"name": "main", "image": "registry.example/app:1"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "slow", "namespace": namespace},
        "spec": {
            "nodeName": name,
            "terminationGracePeriodSeconds": 600,
            "containers": [container],
        },
    }
    plane.api.create(node)
    eventually(lambda: plane.api.get("v1", "ServiceAccount", "default", namespace))
    plane.api.create(pod)
    live = plane.api.get("v1", "Namespace", namespace)
    assert live is not None
    plane.api.delete("v1", "Namespace", namespace)

    def end_pod() -> None:
        plane.api.request("DELETE", f"/api/v1/namespaces/{namespace}/pods/slow", body={"gracePeriodSeconds": 0})

    threading.Timer(16, end_pod).start()  # after the controller has retried twice, at five and at ten seconds
    try:
        await_logic.ReadinessWaiter(plane.api, threading.Event(), live, None).wait_until_deleted()
    finally:
        plane.api.delete("v1", "Node", name)
