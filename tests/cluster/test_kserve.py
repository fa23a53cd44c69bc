"""KServe's controller runs as a real process beside the control plane once its chart is installed.

Proves that it creates the objects of an InferenceService, that its webhooks set defaults and reject invalid objects,
that nothing is left when the InferenceService is deleted, that a killed process is reported and restarted, and that it
runs only while its Deployment has pods. Does not prove that a model answers: the pods and the gateway are simulated.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from infra.cluster.admission_rules import RULES
from infra.core.settings import Environment
from policies import LINEAGE_ANNOTATIONS
from rehearsal.kubernetes.client import ApiError, Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from rehearsal.kubernetes.control_plane.egress_proxy import EgressProxy
from rehearsal.kubernetes.controllers.kserve import KSERVE
from rehearsal.kubernetes.controllers.manager import ControllerManager, ensure_programs
from tests.support.admission import RESTRICTED, enforce_rules, merge
from tests.support.chart_installation import (
    apply_definitions,
    apply_gateway_api_definitions,
    find_condition,
    install_chart,
)
from tests.support.gitops_rendering import build_deployment, render
from tests.support.processes import list_processes
from tests.support.waiting import eventually

_NAMESPACE = "kserve"
_SERVING = "serving.kserve.io/v1beta1"
_GATEWAY_API = "gateway.networking.k8s.io/v1"
_RBAC = "rbac.authorization.k8s.io/v1"
_BINDING = "kserve-manager-rolebinding"

# For each admission rule of pods, a change to a container that it denies.
_VIOLATIONS: Mapping[str, Mapping[str, Any]] = {
    "k8s-pod-image-tag": {"image": "ghcr.io/models/server:latest"},
    "k8s-pod-image-registry": {"image": "registry.example.com/server:1"},
    "k8s-pod-read-only-root": {"securityContext": {"readOnlyRootFilesystem": False}},
    "k8s-pod-resources": {"resources": None},
}

# For each admission rule of InferenceServices, a change that it denies. KServe's webhook sets the resources of the
# first container, so that only another one can lack them.
_SERVICE_VIOLATIONS: Mapping[str, Callable[[Object], Object]] = {
    "k8s-inference-service-lineage": lambda service: merge(
        service, {"metadata": {"annotations": {"groundwork.dev/run-id": None}}}
    ),
    "k8s-inference-service-image-tag": lambda service: _with_service_container(
        service, image="ghcr.io/models/server:latest"
    ),
    "k8s-inference-service-image-registry": lambda service: _with_service_container(
        service, image="registry.example.com/server:1"
    ),
    "k8s-inference-service-resources": lambda service: _with_service_container(service, resources=None),
}

_LINEAGE = dict.fromkeys(LINEAGE_ANNOTATIONS, "known")
_POD_SECURITY = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
_CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_RESOURCES = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}

_VALUES = (
    "kserve.controller.deploymentMode=Standard",
    "kserve.controller.gateway.ingressGateway.enableGatewayApi=true",
    "kserve.controller.gateway.ingressGateway.createGateway=true",
    # As the platform sets it, since the storage initializer has to pass the rules of pods.
    "kserve.storage.containerSecurityContext.readOnlyRootFilesystem=true",
)


@pytest.fixture(scope="module")
def controllers(plane: ControlPlane, egress: EgressProxy) -> Iterator[ControllerManager]:
    """KServe as its charts install it. The runtimes are installed immediately afterwards, through its webhooks."""
    found = ensure_programs(["kserve-resources"])
    if not found:
        pytest.skip("KServe's controller is not available")
    controllers = ControllerManager(plane, egress, found)
    with controllers.run():
        apply_gateway_api_definitions(plane)
        apply_definitions(plane, "cert-manager-v1.21.1", ("cert-manager.io/v1", "Certificate"), "crds.enabled=true")
        apply_definitions(plane, "kserve-crd-v0.20.0", (_SERVING, "InferenceService"))
        plane.api.create(_gateway_class())
        install_chart(plane, "kserve-resources-v0.20.0", _NAMESPACE, *_VALUES)
        install_chart(plane, "kserve-runtime-configs-v0.20.0", _NAMESPACE, "kserve.servingruntime.enabled=true")
        yield controllers
        # Only KServe's controller removes its finalizer: without it, the namespaces would not be deleted.
        eventually(lambda: not plane.api.list(_SERVING, "InferenceService"))
    assert not _find_processes(plane)


def test_an_inference_service_gets_its_objects_and_becomes_ready(
    plane: ControlPlane, controllers: ControllerManager, namespace: str
) -> None:
    plane.api.create(_inference_service(namespace))

    ready = eventually(lambda: _get_if_ready(plane, namespace))

    assert ready["status"]["url"] == f"http://iris-{namespace}.example.com"
    assert _list_names(plane, "apps/v1", "Deployment", namespace) == {"iris-predictor"}
    assert _list_names(plane, "autoscaling/v2", "HorizontalPodAutoscaler", namespace) == {"iris-predictor"}
    assert _list_names(plane, "v1", "Service", namespace) == {"iris-predictor"}
    assert _list_names(plane, _GATEWAY_API, "HTTPRoute", namespace) == {"iris", "iris-predictor"}
    (pod,) = plane.api.list("v1", "Pod", namespace)
    assert pod["status"]["phase"] == "Running"
    assert [each["name"] for each in pod["spec"]["initContainers"]] == ["storage-initializer"]
    assert "InferenceService" in controllers.served_kinds()
    assert not [note for note in controllers.notes() if "KServe" in note]
    assert not controllers.problems()


@pytest.mark.usefixtures("controllers")
def test_the_webhook_of_kserve_sets_defaults(plane: ControlPlane, namespace: str) -> None:
    predictor = {"sklearn": {"storageUri": "s3://models/iris"}}

    created = plane.api.create({**_inference_service(namespace), "spec": {"predictor": predictor}})

    assert created["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
    assert "sklearn" not in created["spec"]["predictor"]
    assert created["spec"]["predictor"]["model"]["modelFormat"] == {"name": "sklearn"}


@pytest.mark.usefixtures("controllers")
def test_the_webhook_of_kserve_rejects_an_invalid_inference_service(plane: ControlPlane, namespace: str) -> None:
    with pytest.raises(ApiError, match="'MinReplicas' cannot be greater than MaxReplicas"):
        plane.api.create(_inference_service(namespace, minReplicas=3, maxReplicas=1))


@pytest.mark.usefixtures("controllers")
@pytest.mark.parametrize("environment", Environment)
def test_the_platforms_manifests_are_accepted(plane: ControlPlane, environment: Environment, tmp_path: Path) -> None:
    """KServe's webhooks and the API server accept them, and Pod Security and the admission rules accept their pods."""
    assert {rule for rule in RULES if rule.startswith("k8s-pod-")} == _VIOLATIONS.keys()
    assert {rule for rule in RULES if rule.startswith("k8s-inference-")} == _SERVICE_VIOLATIONS.keys()
    plane.api.apply(_restricted_namespace("serving"), "test")
    manifests = render(environment, tmp_path)
    kinds = set()
    with enforce_rules(plane.api, *RULES):
        for manifest in manifests:
            if manifest["kind"] != "ServiceMonitor":  # its operator is not in this cluster
                kinds.add(plane.api.apply(manifest, "test", dry_run=True)["kind"])
            if manifest["kind"] == "InferenceService":
                for control, break_rule in _SERVICE_VIOLATIONS.items():
                    eventually(partial(_is_rejected, plane, break_rule(manifest), control))
                plane.api.apply(manifest, "test", dry_run=True)  # now that the rules are in effect
                pod = _pod(manifest)
                for control, change in _VIOLATIONS.items():
                    eventually(partial(_is_rejected, plane, _with_container_change(pod, change), control))
                plane.api.apply(pod, "test", dry_run=True)
                assert _is_rejected(plane, _pod(manifest, hostNetwork=True), "violates PodSecurity")
    assert kinds == {"HTTPRoute", "InferenceService", "NetworkPolicy", "PodDisruptionBudget"}


@pytest.mark.usefixtures("controllers")
def test_the_pods_that_kserve_creates_pass_the_rules(plane: ControlPlane, namespace: str) -> None:
    """They include the storage initializer, with KServe's own image and resources, and a ServingRuntime's image."""
    plane.api.apply(_restricted_namespace(namespace), "test")
    service = _inference_service(namespace, securityContext=_POD_SECURITY)
    service["spec"]["predictor"]["model"] |= {"securityContext": _CONTAINER_SECURITY, "resources": _RESOURCES}
    with enforce_rules(plane.api, *RULES):
        eventually(partial(_is_rejected, plane, service, "k8s-inference-service-lineage"))
        plane.api.create(merge(service, {"metadata": {"annotations": _LINEAGE}}))
        eventually(lambda: _get_if_ready(plane, namespace))
        (pod,) = plane.api.list("v1", "Pod", namespace)
        assert [each["name"] for each in pod["spec"]["initContainers"]] == ["storage-initializer"]
        plane.api.delete(_SERVING, "InferenceService", "iris", namespace)
        eventually(lambda: plane.api.get(_SERVING, "InferenceService", "iris", namespace) is None)


@pytest.mark.usefixtures("controllers")
def test_the_objects_of_an_inference_service_are_deleted_with_it(plane: ControlPlane, namespace: str) -> None:
    plane.api.create(_inference_service(namespace))
    eventually(lambda: _get_if_ready(plane, namespace))

    plane.api.delete(_SERVING, "InferenceService", "iris", namespace)

    # The garbage collector discovers new kinds only every 30 seconds.
    eventually(lambda: plane.api.get(_SERVING, "InferenceService", "iris", namespace) is None)
    for kind in (("apps/v1", "Deployment"), ("v1", "Service"), (_GATEWAY_API, "HTTPRoute"), ("v1", "Pod")):
        eventually(partial(_is_empty, plane, namespace, *kind))


@pytest.mark.usefixtures("controllers")
def test_it_has_only_the_permissions_of_its_service_account(plane: ControlPlane, namespace: str) -> None:
    log = plane.folder / "logs" / f"{KSERVE.name}.log"
    binding = plane.api.get(_RBAC, "ClusterRoleBinding", _BINDING)
    assert binding is not None
    plane.api.delete(_RBAC, "ClusterRoleBinding", _BINDING)
    try:
        eventually(lambda: not _may_create_services(plane))
        plane.api.create(_inference_service(namespace))
        eventually(
            lambda: re.search(r"User .{1,2}system:serviceaccount:kserve:\S+ cannot \w+ resource", log.read_text())
        )
    finally:
        plane.api.create({**binding, "metadata": {"name": _BINDING, "labels": binding["metadata"]["labels"]}})

    eventually(lambda: _get_if_ready(plane, namespace))


def test_a_killed_process_is_reported_and_restarted(
    plane: ControlPlane, controllers: ControllerManager, namespace: str
) -> None:
    (process,) = eventually(lambda: _find_processes(plane))
    os.kill(process, signal.SIGKILL)

    (change,) = eventually(controllers.problems)

    assert change.startswith("kserve-controller-manager exited unexpectedly once, last with signal 9; see its log ")
    eventually(controllers.served_kinds)
    plane.api.create(_inference_service(namespace))
    eventually(lambda: _get_if_ready(plane, namespace))


def test_it_runs_only_while_its_deployment_has_pods(
    plane: ControlPlane, controllers: ControllerManager, namespace: str
) -> None:
    eventually(controllers.served_kinds)
    _scale(plane, 0)

    eventually(lambda: not controllers.served_kinds())
    assert not _find_processes(plane)
    with pytest.raises(ApiError, match="failed calling webhook"):
        plane.api.create(_inference_service(namespace))

    _scale(plane, 1)
    eventually(controllers.served_kinds)
    plane.api.create(_inference_service(namespace))


def _gateway_class() -> Object:
    return {
        "apiVersion": _GATEWAY_API,
        "kind": "GatewayClass",
        "metadata": {"name": "envoy"},
        "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
    }


def _inference_service(namespace: str, **predictor: Any) -> Object:
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://models/iris"}
    return {
        "apiVersion": _SERVING,
        "kind": "InferenceService",
        "metadata": {"name": "iris", "namespace": namespace},
        "spec": {"predictor": {"model": model, **predictor}},
    }


def _restricted_namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}


def _pod(inference_service: Mapping[str, Any], **more: Any) -> Object:
    """A pod of the predictor, with a service account that exists."""
    template = build_deployment(inference_service)["spec"]["template"]
    spec = {**template["spec"], "serviceAccountName": "default", **more}
    metadata = {**template["metadata"], "name": "of-a-predictor", "namespace": "serving"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _with_container_change(pod: Object, change: Mapping[str, Any]) -> Object:
    """The pod with a change to its container."""
    (container,) = pod["spec"]["containers"]
    return {**pod, "spec": {**pod["spec"], "containers": [merge(container, change)]}}


def _with_service_container(service: Object, **change: Any) -> Object:
    """The InferenceService with a second container, a changed copy of the first one."""
    first, *_ = service["spec"]["predictor"]["containers"]
    return merge(service, {"spec": {"predictor": {"containers": [first, {**merge(first, change), "name": "second"}]}}})


def _is_rejected(plane: ControlPlane, manifest: Object, message: str) -> bool:
    try:
        plane.api.apply(manifest, "test", dry_run=True)
    except ApiError as error:
        return message in str(error)
    return False


def _get_if_ready(plane: ControlPlane, namespace: str) -> Mapping[str, Any]:
    found = plane.api.get(_SERVING, "InferenceService", "iris", namespace)
    return found if found and find_condition(found, "Ready").get("status") == "True" else {}


def _is_empty(plane: ControlPlane, namespace: str, api_version: str, kind: str) -> bool:
    return not plane.api.list(api_version, kind, namespace)


def _list_names(plane: ControlPlane, api_version: str, kind: str, namespace: str) -> set[str]:
    return {each["metadata"]["name"] for each in plane.api.list(api_version, kind, namespace)}


def _may_create_services(plane: ControlPlane) -> bool:
    """Whether the binding is already in effect."""
    user = f"system:serviceaccount:{_NAMESPACE}:{KSERVE.workload_name}"
    spec = {"user": user, "resourceAttributes": {"verb": "create", "resource": "services"}}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    return bool(plane.api.create(review)["status"]["allowed"])


def _scale(plane: ControlPlane, replicas: int) -> None:
    deployment = plane.api.get("apps/v1", "Deployment", KSERVE.workload_name, _NAMESPACE)
    assert deployment is not None
    plane.api.patch(deployment, {"spec": {"replicas": replicas}})


def _find_processes(plane: ControlPlane) -> list[int]:
    """The PIDs of this control plane's KServe controller."""
    return [
        process
        for process, (program, *arguments) in list_processes()
        if Path(program).name == KSERVE.name and str(plane.folder) in " ".join(arguments)
    ]
