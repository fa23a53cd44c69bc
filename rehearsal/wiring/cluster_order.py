"""Checks that each object and release waits for what it needs in the cluster: kinds, webhooks, Secrets, identities.

The engine creates resources that do not depend on each other at the same time. An object of a custom kind is rejected
if the release with its definition does not exist yet. A pod is not ready until its service account and the Secrets that
it mounts exist, and it has no credentials if it starts before its account has an identity in the cloud.
Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-association.html
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from kernel.paths import look_up
from rehearsal.helm import rendering
from rehearsal.helm.rendering import Release, RenderError
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.simulator.core.values import SIGNATURE
from rehearsal.simulator.offline_kubernetes import RELEASE
from rehearsal.wiring.declared import Declared, Graph
from rehearsal.wiring.graph import Wiring
from rehearsal.wiring.pod_identities import find_identity

_WAITED_FOR = ("Deployment", "StatefulSet", "DaemonSet", "Job")  # the provider waits until their pods are ready
# Namespaced kinds of Kubernetes itself that programs declare.
_NAMESPACED = frozenset(
    """
    ConfigMap CronJob DaemonSet Deployment Ingress Job LimitRange NetworkPolicy PersistentVolumeClaim Pod
    PodDisruptionBudget ResourceQuota Role RoleBinding Secret Service ServiceAccount StatefulSet
    """.split()
)
_NAMESPACE, _EXTERNAL_SECRET = "kubernetes:core/v1:Namespace", ":ExternalSecret"
_KINDS = {
    "Secret": "kubernetes:core/v1:Secret",
    "ConfigMap": "kubernetes:core/v1:ConfigMap",
    "ServiceAccount": "kubernetes:core/v1:ServiceAccount",
    "StorageClass": "kubernetes:storage.k8s.io/v1:StorageClass",
}
_WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
# Types of grants, each with the input that names the identity.
_GRANTS = {
    "azure-native:authorization:RoleAssignment": "principalId",
    "azure-native:cosmosdb:SqlResourceSqlRoleAssignment": "principalId",
    "azure-native:managedidentity:FederatedIdentityCredential": "resourceName",
    "aws:iam/rolePolicy:RolePolicy": "role",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "role",
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": "roleArn",
}


def find_problems(graph: Graph, wiring: Wiring) -> Iterator[Problem]:
    """Objects and releases that may be created before something that they need."""
    return _Order(graph, wiring).find_problems()


class _Order:
    def __init__(self, graph: Graph, wiring: Wiring) -> None:
        self._graph = graph
        self._wiring = wiring
        self._objects = {
            declared.urn: list(_render(declared)) for declared in graph if declared.package == "kubernetes"
        }

    def find_problems(self) -> Iterator[Problem]:
        for declared in self._graph:
            if declared.urn not in self._objects:
                continue
            before = self._graph.list_before(declared.urn)
            found: dict[str, str] = {}
            for needed, why in self._list_needs(declared):
                if needed.urn != declared.urn and needed.urn not in before:
                    found.setdefault(needed.urn, f"{why} {needed.label}")
            for why in found.values():
                yield Problem(
                    declared.label, f"it may be created before what it needs: {why}", "make it depend on that"
                )
            if declared.type != RELEASE and self._lacks_namespace(declared.inputs):
                yield Problem(declared.label, "it has no namespace, so it goes to `default`", "set its namespace")

    def _lacks_namespace(self, manifest: Object) -> bool:
        group, _, _ = str(manifest.get("apiVersion")).rpartition("/")
        is_namespaced = manifest.get("kind") in _NAMESPACED or (group, manifest.get("kind")) in self._namespaced_kinds
        return is_namespaced and not look_up(manifest, "metadata.namespace", None)

    @cached_property
    def _namespaced_kinds(self) -> set[tuple[str, str]]:
        """Groups and names of the namespaced custom kinds that charts define."""
        return {
            (manifest["spec"]["group"], manifest["spec"]["names"]["kind"])
            for objects in self._objects.values()
            for manifest in objects
            if manifest.get("kind") == "CustomResourceDefinition" and manifest["spec"].get("scope") == "Namespaced"
        }

    def _list_needs(self, declared: Declared) -> Iterator[tuple[Declared, str]]:
        """Declared resources that have to exist before this one, each with the reason."""
        for manifest in self._objects[declared.urn]:
            namespace = look_up(manifest, "metadata.namespace", declared.inputs.get("namespace"))
            yield from self._find(_NAMESPACE, "", namespace, "its namespace is")
            yield from self._list_definitions(manifest)
            if declared.type == RELEASE or manifest.get("kind") in _WAITED_FOR:
                yield from self._list_needs_of_pods(manifest, str(namespace))

    def _find(self, type_: str, namespace: str, name: Any, why: str) -> Iterator[tuple[Declared, str]]:
        for found in self._by_name.get((type_, namespace, str(name)), ()):
            yield found, why

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str, str], list[Declared]]:
        """Resources of the program; an ExternalSecret also counts as the Secret that it creates."""
        found: dict[tuple[str, str, str], list[Declared]] = defaultdict(list)
        for declared in self._graph:
            name = str(look_up(declared.inputs, "metadata.name", ""))
            namespace = str(look_up(declared.inputs, "metadata.namespace", ""))
            found[declared.type, namespace, name].append(declared)
            if declared.type.endswith(_EXTERNAL_SECRET):
                found[_KINDS["Secret"], namespace, name].append(declared)
        return found

    def _list_definitions(self, manifest: Object) -> Iterator[tuple[Declared, str]]:
        """Releases with the definition of a custom kind, and with a webhook for it."""
        group = str(manifest["apiVersion"]).rpartition("/")[0]
        yield from self._by_kind.get((group, str(manifest["kind"])), ())

    @cached_property
    def _by_kind(self) -> Mapping[tuple[str, str], list[tuple[Declared, str]]]:
        found: dict[tuple[str, str], list[tuple[Declared, str]]] = defaultdict(list)
        plurals: dict[tuple[str, str], tuple[str, str]] = {}
        for urn, objects in self._objects.items():
            release = self._graph.get(urn)
            for manifest in objects if release and release.type == RELEASE else ():
                if manifest["kind"] == "CustomResourceDefinition" and release:
                    group, names = manifest["spec"]["group"], manifest["spec"]["names"]
                    plurals[group, names["plural"]] = group, names["kind"]
                    found[group, names["kind"]].append((release, "its kind is defined by"))
        for urn, objects in self._objects.items():
            release = self._graph.get(urn)
            for manifest in objects if release and release.type == RELEASE else ():
                for group, plural in _list_admitted(manifest):
                    if (group, plural) in plurals and release:
                        found[plurals[group, plural]].append((release, "it is admitted by a webhook of"))
        return found

    def _list_needs_of_pods(self, manifest: Object, namespace: str) -> Iterator[tuple[Declared, str]]:
        spec = look_up(manifest, "spec.template.spec", None)
        if not isinstance(spec, Mapping):
            spec = {}
        for kind, name in _list_mentioned(spec):
            yield from self._find(_KINDS[kind], namespace, name, "its pods use")
        for claim in look_up(manifest, "spec.volumeClaimTemplates", None) or ():
            name = look_up(claim, "spec.storageClassName", "")
            yield from self._find(_KINDS["StorageClass"], "", name, "its volumes use")
        operated = look_up(manifest, "spec.storage.volumeClaimTemplate.spec.storageClassName", None)
        if operated:
            yield from self._find(_KINDS["StorageClass"], "", operated, "its volumes use")
        account = spec.get("serviceAccountName")
        identity = find_identity(self._wiring, namespace, str(account)) if account else None
        if identity is not None:
            yield from self._list_grants(identity)

    def _list_grants(self, identity: Resource) -> Iterator[tuple[Declared, str]]:
        own = {identity.id, identity.id.rpartition("/")[2], *map(identity.outputs.get, ("principalId", "arn"))}
        for type_, path in _GRANTS.items():
            for found in self._wiring.clouds.all(type_):
                declared = self._graph.get(str(getattr(found, "urn", "")))
                if declared is not None and found.inputs.get(path) in own:
                    yield declared, "its pods get access from"


def _render(declared: Declared) -> Iterator[Object]:
    """The objects that a resource creates in the cluster; none if its chart is not available."""
    if declared.type != RELEASE:
        if {"apiVersion", "kind"} <= declared.inputs.keys():
            yield declared.inputs
        return
    if SIGNATURE in json.dumps(declared.inputs, default=str):
        return
    try:
        yield from rendering.render(Release.from_inputs(declared.inputs)).objects
    except RenderError:
        return  # reported elsewhere


def _list_admitted(manifest: Object) -> Iterator[tuple[str, str]]:
    """Groups and plurals of the kinds whose objects are rejected while the webhook does not answer."""
    if manifest["kind"] not in _WEBHOOKS:
        return
    for webhook in manifest.get("webhooks") or ():
        if webhook.get("failurePolicy", "Fail") == "Fail":
            for rule in webhook.get("rules") or ():
                for group in rule.get("apiGroups") or ():
                    yield from ((group, plural) for plural in rule.get("resources") or ())


def _list_mentioned(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Secrets, ConfigMaps and the service account without which a pod cannot start."""
    if spec.get("serviceAccountName"):
        yield "ServiceAccount", str(spec["serviceAccountName"])
    for reference in _list_references(spec):
        for field, named in reference.items():
            kind = next((kind for start, kind in _FIELDS.items() if field.startswith(start)), "")
            if kind and isinstance(named, Mapping) and not named.get("optional"):
                yield kind, str(named.get("secretName") or named.get("name"))


_FIELDS = {"secret": "Secret", "configMap": "ConfigMap"}


def _list_references(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Parts of a pod that may name Secrets and ConfigMaps: volumes, and sources of variables."""
    for volume in spec.get("volumes") or ():
        yield from (volume, *(look_up(volume, "projected.sources", None) or ()))
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        yield from (look_up(variable, "valueFrom", {}) or {} for variable in container.get("env") or ())
        yield from container.get("envFrom") or ()
