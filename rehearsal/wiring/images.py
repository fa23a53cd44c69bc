"""Checks that nodes may pull the images that pods use from the stack's own registries.

Sources: https://learn.microsoft.com/azure/aks/cluster-container-registry-integration and
https://docs.aws.amazon.com/AmazonECR/latest/userguide/ECR_on_EKS.html
"""

from __future__ import annotations

from collections.abc import Iterator

from kernel.paths import look_up
from kernel.values import as_list
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.wiring.grants import find_role, has_azure_role, has_managed_policy, role_allows
from rehearsal.wiring.graph import AKS, Wiring, describe

_REGISTRY, _REPOSITORY = "azure-native:containerregistry:Registry", "aws:ecr/repository:Repository"
_PULL_ROLES = ("AcrPull", "AcrPush", "Contributor")
_PULL_POLICIES = ("AmazonEC2ContainerRegistryPullOnly", "AmazonEC2ContainerRegistryReadOnly")
_NODE_GROUP, _PROFILE = "aws:eks/nodeGroup:NodeGroup", "aws:iam/instanceProfile:InstanceProfile"


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    pulled: dict[tuple[str, str], str] = {}
    for pod in wiring.pods:
        for container in pod.containers:
            host, _, path = str(container.get("image", "")).partition("/")
            name = path.partition("@")[0].partition(":")[0]
            pulled.setdefault((host, name), pod.owner)
    for (host, name), owner in pulled.items():
        if host.endswith(".azurecr.io"):
            yield from _check_acr(wiring, host, owner)
        elif ".dkr.ecr." in host:
            yield from _check_ecr(wiring, host, name, owner)


def _check_acr(wiring: Wiring, host: str, owner: str) -> Iterator[Problem]:
    registry = wiring.find_one(_REGISTRY, "loginServer", host)
    if registry is None:
        yield Problem(owner, f"registry {host} does not exist", "use the login server of the stack's registry")
        return
    for cluster in wiring.clouds.all(AKS):
        kubelet = look_up(cluster.inputs, "identityProfile.kubeletidentity.objectId", None)
        if kubelet is not None and not has_azure_role(wiring, str(kubelet), _PULL_ROLES, registry.id):
            reason = f"its nodes cannot pull the image of {owner}: the kubelet's identity lacks AcrPull on {host}"
            yield Problem(describe(cluster), reason, "assign the role to identityProfile.kubeletidentity")


def _check_ecr(wiring: Wiring, host: str, name: str, owner: str) -> Iterator[Problem]:
    urls = {str(found.outputs.get("repositoryUrl")) for found in wiring.clouds.all(_REPOSITORY)}
    if not any(url.startswith(f"{host}/") for url in urls):
        return  # in another account, like EKS's own images
    if f"{host}/{name}" not in urls:
        yield Problem(owner, f"repository {host}/{name} does not exist", "create it: ECR does not create one on push")
    for role in list_node_roles(wiring):
        if not has_managed_policy(wiring, role, _PULL_POLICIES) and not role_allows(
            wiring, role, "ecr:BatchGetImage", "*"
        ):
            reason = f"nodes with this role cannot pull the image of {owner}: it lacks policy {_PULL_POLICIES[0]}"
            yield Problem(describe(role), reason, "attach the policy")


def list_node_roles(wiring: Wiring) -> list[Resource]:
    """The roles of node groups and of instance profiles."""
    arns = [group.inputs.get("nodeRoleArn") for group in wiring.clouds.all(_NODE_GROUP)]
    names = [name for profile in wiring.clouds.all(_PROFILE) for name in as_list(profile.inputs.get("role"))]
    found = [find_role(wiring, reference) for reference in dict.fromkeys([*arns, *names])]
    return [role for role in found if role is not None]
