"""The objects that a stack declares, in a cluster in which nothing has run yet. Proves nothing.

Charts are rendered. Each workload has one pod, with the additions of admission and operators: the token of its service
account, and the labels that Prometheus' operator sets on its pods.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import yaml

from infra import cluster
from infra.contract import NetworkPolicyEngine
from rehearsal.helm import rendering
from rehearsal.helm.rendering import Release
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.cloud_controller import cilium, storage, system_workloads
from rehearsal.kubernetes.cloud_controller.identity import inject_identity
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster
from rehearsal.kubernetes.readiness.network_flows import ClusterNetwork
from rehearsal.kubernetes.readiness.network_policies import Engine
from rehearsal.kubernetes.readiness.snapshot import Snapshot
from rehearsal.simulator.offline_kubernetes import RELEASE
from tests.support.foundations import sample_foundation
from tests.support.objects_in_memory import FakeApiClient
from tests.support.recording import RecordedResource, record_program, stack_context

NODE_ADDRESS = "10.20.0.9"  # in the network of `stack_context`
TUNNEL = {"app": "konnectivity-agent"}
_API_CIDR = "10.20.0.0/20"  # of `sample_foundation`
NETWORKS: Mapping[NetworkPolicyEngine, ClusterNetwork] = {
    NetworkPolicyEngine.CILIUM: ClusterNetwork(Engine.CILIUM, tunnel=TUNNEL),
    NetworkPolicyEngine.VPC_CNI: ClusterNetwork(Engine.VPC_CNI, (_API_CIDR,), (_API_CIDR,)),
}
_HOOK = "helm.sh/hook"
# The cluster-scoped kinds that charts contain.
_OF_THE_CLUSTER = frozenset(
    """
    APIService ClusterRole ClusterRoleBinding ClusterServingRuntime CustomResourceDefinition GatewayClass IngressClass
    MutatingWebhookConfiguration PriorityClass StorageClass ValidatingAdmissionPolicy
    ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration
    """.split()
)
_KUBELET = {"app.kubernetes.io/name": "kubelet", "k8s-app": "kubelet"}
_MOUNT = {"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}
_TOKEN = {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}


def declare_cluster(engine: NetworkPolicyEngine, *, without: tuple[str, str] = ("", "")) -> Snapshot:
    """A cluster with the objects of a stack, except the object with the kind and name in `without`."""
    objects = list_declared(engine)
    return Snapshot(
        FakeApiClient(*(found for found in objects if (found["kind"], found["metadata"]["name"]) != without))
    )


@cache
def list_declared(engine: NetworkPolicyEngine) -> tuple[Object, ...]:
    """The objects of a stack whose cluster has this engine, without charts that are not available."""

    def declare() -> None:
        sample = sample_foundation()
        tunnel = TUNNEL if engine is NetworkPolicyEngine.CILIUM else None
        changed = dataclasses.replace(sample.cluster, network_policy_engine=engine, api_tunnel=tunnel)
        context = stack_context("azure", images=dict.fromkeys(("experiment", "drift"), f"sha256:{'a' * 64}"))
        cluster.create_platform(context, dataclasses.replace(sample, cluster=changed))

    recorder, _ = record_program(declare)
    return build_objects(recorder.resources)


def build_objects(resources: Iterable[RecordedResource], managed: ManagedCluster | None = None) -> tuple[Object, ...]:
    """The objects of declared resources, the objects that clouds create, and their pods.

    `managed` is the cloud's own cluster: it injects identities into pods, and its own workloads are included.
    """
    objects: list[Object] = []
    for resource in resources:
        if resource.type == RELEASE:
            release = Release.from_inputs(resource.inputs)
            rendered = [_place(found, release.namespace) for found in rendering.render(release).objects]
            objects += [*rendered, _build_release_record(release, rendered)]
        elif resource.type.startswith("kubernetes:") and "metadata" in resource.inputs:
            objects.append(_complete(resource.inputs))
    own = _list_own(managed) if managed else []
    published = [_publish_root(found) for found in (*objects, *own) if found["kind"] == "Namespace"]
    objects = [_reconcile(found) for found in (*objects, *own, *published)]
    pods = list(_list_pods(objects))
    if managed:
        pods = [_inject_identity(pod, objects, managed) for pod in pods]
    return (*objects, *_list_cloud_objects(), *pods)


def _list_own(managed: ManagedCluster) -> list[Object]:
    """The objects that a cloud creates in its cluster."""
    parts = (system_workloads, storage, cilium)
    return [found for part in parts for found in part.build_manifests(managed)]


def _inject_identity(pod: Object, objects: Iterable[Object], managed: ManagedCluster) -> Object:
    wanted = pod["metadata"]["namespace"], pod["spec"].get("serviceAccountName") or "default"
    accounts = (found for found in objects if found["kind"] == "ServiceAccount")
    named = (found for found in accounts if (found["metadata"]["namespace"], found["metadata"]["name"]) == wanted)
    return inject_identity(pod, next(named, {"metadata": {}}), managed) or pod


def _publish_root(namespace: Object) -> Object:
    """The ConfigMap that Kubernetes creates in each namespace: the certificate of its API server."""
    metadata = {"name": "kube-root-ca.crt", "namespace": namespace["metadata"]["name"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": ""}}


def _build_release_record(release: Release, rendered: Iterable[Object]) -> Object:
    """Helm's own record of a release, with only its hooks."""
    hooks = [
        {"manifest": yaml.safe_dump(found), "events": found["metadata"]["annotations"][_HOOK].split(",")}
        for found in rendered
        if _HOOK in (found["metadata"].get("annotations") or {})
    ]
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps({"hooks": hooks}).encode(), mtime=0))).decode()
    metadata = {"name": f"sh.helm.release.v1.{release.name}.v1", "namespace": release.namespace}
    data = {"release": packed}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "helm.sh/release.v1", "data": data}


def _complete(found: Object) -> Object:
    """The object as the API server stores it: a Secret has all its keys in `data`."""
    if found["kind"] != "Secret":
        return _name_namespace(found)
    return {**found, "data": {**(found.get("data") or {}), **dict.fromkeys(found.get("stringData") or {}, "")}}


def _name_namespace(found: Object) -> Object:
    """The object; a Namespace with the label that the API server adds."""
    if found["kind"] != "Namespace":
        return found
    metadata = found["metadata"]
    labels = {**metadata.get("labels", {}), "kubernetes.io/metadata.name": metadata["name"]}
    return {**found, "metadata": {**metadata, "labels": labels}}


def _reconcile(found: Object) -> Object:
    """The object; a Prometheus with the status that its operator writes."""
    return {**found, "status": {"replicas": 1}} if found["kind"] == "Prometheus" else found


def _place(found: Object, namespace: str) -> Object:
    if found["kind"] in _OF_THE_CLUSTER:
        return found
    return {**found, "metadata": {"namespace": namespace, **found["metadata"]}}


def _list_cloud_objects() -> Iterator[Object]:
    yield _name_namespace({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}})
    addresses = {"addresses": [{"type": "InternalIP", "address": NODE_ADDRESS}]}
    yield {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node"}, "status": addresses}
    for name, labels in (("coredns", {"k8s-app": "kube-dns"}), ("tunnel", TUNNEL)):
        metadata = {"name": name, "namespace": "kube-system", "labels": labels}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": []}}
    # Prometheus' operator creates these for the kubelets.
    metadata = {"name": "kubelet", "namespace": "kube-system", "labels": _KUBELET}
    ports = [{"name": "https-metrics", "port": 10250}]
    subsets = [{"addresses": [{"ip": NODE_ADDRESS}], "ports": ports}]
    yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports}}
    yield {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}


def _list_pods(objects: list[Object]) -> Iterator[Object]:
    """One pod for each workload, and for each Prometheus and Alertmanager, whose pods an operator creates."""
    automounts = {
        (found["metadata"]["namespace"], found["metadata"]["name"]): found.get("automountServiceAccountToken", True)
        for found in objects
        if found["kind"] == "ServiceAccount"
    }
    for found in objects:
        if found["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job") and found["spec"].get("replicas") != 0:
            template = found["spec"]["template"]
            yield _build_pod(found, template.get("metadata", {}).get("labels") or {}, template["spec"], automounts)
        elif found["kind"] in ("Prometheus", "Alertmanager"):
            yield _build_pod(found, _operated_labels(found), _operated_spec(found), automounts)


def _build_pod(
    owner: Object, labels: Mapping[str, str], spec: Mapping[str, Any], automounts: Mapping[Any, bool]
) -> Object:
    metadata, account = owner["metadata"], spec.get("serviceAccountName") or "default"
    automount = spec.get("automountServiceAccountToken", automounts.get((metadata["namespace"], account), True))
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": metadata["name"], "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{metadata['name']}-{owner['kind'].lower()}",
            "namespace": metadata["namespace"],
            "labels": dict(labels),
            "ownerReferences": [reference],
        },
        "spec": _mount_token(spec) if automount else {**spec},
        "status": {"hostIP": NODE_ADDRESS},
    }


def _mount_token(spec: Mapping[str, Any]) -> Object:
    """The volume and mount that admission adds to a pod for the token of its service account."""
    mounted = {**spec, "volumes": [*(spec.get("volumes") or ()), _TOKEN]}
    for part in ("containers", "initContainers"):
        if containers := spec.get(part):
            mounted[part] = [
                {**each, "volumeMounts": [*(each.get("volumeMounts") or ()), _MOUNT]} for each in containers
            ]
    return mounted


def _operated_labels(found: Object) -> Mapping[str, str]:
    """Source: https://github.com/prometheus-operator/prometheus-operator/blob/main/pkg/prometheus/common.go"""
    kind, name = found["kind"].lower(), found["metadata"]["name"]
    labels = {"app.kubernetes.io/name": kind, "app.kubernetes.io/instance": name, kind: name}
    return {**labels, "operator.prometheus.io/name": name} if kind == "prometheus" else labels


def _operated_spec(found: Object) -> Mapping[str, Any]:
    ports = {"Prometheus": 9090, "Alertmanager": 9093}
    name = found["spec"].get("portName", "http-web")
    image = found["spec"].get("image", "operator/default")  # the operator's default if a chart does not set it
    reloader = {"name": "config-reloader", "image": image, "ports": [{"name": "reloader-web", "containerPort": 8080}]}
    main = {"name": "main", "image": image, "ports": [{"name": name, "containerPort": ports[found["kind"]]}]}
    return {"serviceAccountName": found["spec"].get("serviceAccountName"), "containers": [main, reloader]}
