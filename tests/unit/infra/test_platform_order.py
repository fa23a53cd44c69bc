"""The order of objects in the cluster: the dependency graph by which the engine creates and, in reverse, deletes them.

Proves that every custom object depends on the release that installs its kind and its controller, so that a destroy
deletes the object while the controller still runs, and that the namespaces of models are deleted before the controllers
of their objects. The rehearsed stacks in tests/engine prove that a destroy then leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from infra.cluster.namespaces import MODEL_PROFILES
from rehearsal.simulator.offline_kubernetes import RELEASE
from tests.support.recording import Recorder
from tests.support.sample_platform import record_platform

pytestmark = pytest.mark.slow

# The release that installs the kinds of a group, and the controller that acts on their objects.
CONTROLLERS = {
    "argoproj.io": "argo-cd",
    "cert-manager.io": "cert-manager",
    "external-secrets.io": "external-secrets",
    "gateway.envoyproxy.io": "gateway-helm",
    "gateway.networking.k8s.io": "gateway-helm",
    "karpenter.k8s.aws": "karpenter",
    "karpenter.sh": "karpenter",
    "monitoring.coreos.com": "kube-prometheus-stack",
}
# AKS installs Cilium with its kinds.
OF_THE_CLOUD = {"cilium.io"}

_NAMESPACE = "kubernetes:core/v1:Namespace"

_Resource = tuple[str, str]  # type, name


@pytest.fixture(scope="module")
def dependencies() -> Mapping[_Resource, Collection[_Resource]]:
    """All resources, each with its transitive dependencies, which include its parent's dependencies."""
    recorder = record_platform(gitops={"repository": "https://git.example.com/acme/models.git"})
    direct = {resource: list_direct(recorder, resource) for resource in recorder.requests}

    def collect(resource: _Resource) -> set[_Resource]:
        collected: set[_Resource] = set()
        remaining = [resource]
        while remaining:
            new = set(direct.get(remaining.pop(), ())) - collected
            collected |= new
            remaining += new
        return collected

    return {resource: collect(resource) for resource in direct}


def list_direct(recorder: Recorder, resource: _Resource) -> set[_Resource]:
    request = recorder.requests[resource]
    return {split_urn(urn) for urn in (*request.dependencies, request.parent) if urn}


def split_urn(urn: str) -> _Resource:
    types, name = urn.split("::")[-2:]
    return types.rpartition("$")[2], name


def find_group(type_: str) -> str:
    """The API group of a Kubernetes type: `cert-manager.io` of `kubernetes:cert-manager.io/v1:Certificate`."""
    return type_.split(":")[1].partition("/")[0] if type_.startswith("kubernetes:") else ""


def is_custom(group: str) -> bool:
    """Whether the kinds of a group are neither Kubernetes' own nor Pulumi's."""
    return group in CONTROLLERS or ("." in group and not group.endswith((".k8s.io", "helm.sh")))


def test_every_custom_object_depends_on_its_controller(
    dependencies: Mapping[_Resource, Collection[_Resource]],
) -> None:
    custom = {resource: group for resource in dependencies if is_custom(group := find_group(resource[0]))}
    assert set(custom.values()) - OF_THE_CLOUD == CONTROLLERS.keys()
    orphans = [
        resource
        for resource, group in custom.items()
        if group in CONTROLLERS and (RELEASE, CONTROLLERS[group]) not in dependencies[resource]
    ]
    assert orphans == []


@pytest.mark.parametrize(
    ("release", "needs"),
    [
        ("cert-manager", "gateway-helm"),  # it looks for the Gateway API's kinds when it starts
        ("cert-manager", "kube-prometheus-stack"),  # its monitor's kind
        ("kserve-resources", "kserve-crd"),
        ("kserve-resources", "cert-manager"),  # the certificate of its webhooks
        ("kserve-runtime-configs", "kserve-resources"),  # whose webhook validates them
    ],
)
def test_a_release_depends_on_the_releases_that_it_needs(
    dependencies: Mapping[_Resource, Collection[_Resource]], release: str, needs: str
) -> None:
    assert (RELEASE, needs) in dependencies[RELEASE, release]


@pytest.mark.parametrize("namespace", MODEL_PROFILES)
@pytest.mark.parametrize("controller", ["kserve-resources", "gateway-helm", "external-secrets", "argo-cd"])
def test_the_namespaces_of_models_are_deleted_before_the_controllers(
    dependencies: Mapping[_Resource, Collection[_Resource]], namespace: str, controller: str
) -> None:
    assert (RELEASE, controller) in dependencies[_NAMESPACE, namespace]
