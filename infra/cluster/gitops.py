"""What Argo CD deploys: projects, which bound what it may apply where, and the app of apps.

That one Application has the manifests of all others, from the folder `applications` of the GitOps repository, with the
repository, the revision and the folder of this stack put into them. Pulumi declares it and no other: a new Application
is a commit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.rbac.v1 import ClusterRole, ClusterRoleBinding, Role, RoleBinding

from infra.cluster import argocd
from infra.cluster.external_secrets import create_external_secret
from infra.contract import SecretsContract
from infra.core.component import Component, StackContext
from infra.core.settings import GitopsSettings

API_VERSION = "argoproj.io/v1alpha1"
ROOT = "applications"
MODELS = "models"

_MODELS_NAMESPACE = "serving"
_CREDENTIALS = "gitops-repository"
_CLUSTER = "https://kubernetes.default.svc"
_FINALIZER = "resources-finalizer.argocd.argoproj.io"  # deletes what an Application applied along with it


@dataclass(frozen=True)
class Kind:
    """A kind of objects, and the name of its resource in roles."""

    group: str
    kind: str
    resource: str


# What promotions write for a model, and what all models of a stack share.
MODEL_KINDS = (
    Kind("serving.kserve.io", "InferenceService", "inferenceservices"),
    Kind("gateway.networking.k8s.io", "HTTPRoute", "httproutes"),
    Kind("policy", "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind("networking.k8s.io", "NetworkPolicy", "networkpolicies"),
    Kind("monitoring.coreos.com", "ServiceMonitor", "servicemonitors"),
)
_APPLICATION_KIND = Kind("argoproj.io", "Application", "applications")

# What controllers make of those, which Argo CD shows and reads the health of. No secrets are among them.
_SHOWN = {
    "": ("events", "pods", "pods/log", "services"),
    "apps": ("deployments", "replicasets"),
    "autoscaling": ("horizontalpodautoscalers",),
    "argoproj.io": ("applications", "appprojects"),
    # Kinds that come after Argo CD: what it does not watch it neither shows nor prunes.
    "apiextensions.k8s.io": ("customresourcedefinitions",),
}


@dataclass(frozen=True)
class GitOpsArgs:
    context: StackContext
    secrets: SecretsContract


class GitOps(Component):
    """Argo CD's permissions, its projects and, where the stack names a repository, the app of apps."""

    layer = "cluster"

    def __init__(self, name: str, args: GitOpsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        permissions = [*self._allow_reading(), *self._allow_writing()]
        settings, stack = args.context.settings.gitops, args.context.naming.stack
        if settings.repository:
            projects = [self._create(manifest, permissions) for manifest in build_projects(settings)]
            credentials = [self._copy_credentials(settings, args.secrets)] if settings.token_secret else []
            self._create(build_root_application(settings, stack), [*projects, *credentials])
        self.register_outputs({})

    def _allow_reading(self) -> Iterator[pulumi.Resource]:
        """Everywhere, because Argo CD's cache of a cluster has no namespaces."""
        name = "argocd-read"
        resources = {**_SHOWN, **{kind.group: (kind.resource,) for kind in MODEL_KINDS}}
        rules = [_rule(group, names, ("get", "list", "watch")) for group, names in resources.items()]
        role = ClusterRole(name, metadata=ObjectMetaArgs(name=name), rules=rules, opts=self.child_options())
        yield ClusterRoleBinding(
            name,
            metadata=ObjectMetaArgs(name=name),
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            subjects=[_subject(argocd.CONTROLLER), _subject(argocd.SERVER)],
            opts=self.child_options(depends_on=[role]),
        )

    def _allow_writing(self) -> Iterator[pulumi.Resource]:
        """In the namespace of models, the kinds that the project `models` allows; no person writes through Argo CD."""
        name = "argocd-apply"
        metadata = ObjectMetaArgs(name=name, namespace=_MODELS_NAMESPACE)
        verbs = ("create", "update", "patch", "delete")
        rules = [_rule(kind.group, (kind.resource,), verbs) for kind in MODEL_KINDS]
        role = Role(f"{_MODELS_NAMESPACE}-{name}", metadata=metadata, rules=rules, opts=self.child_options())
        yield RoleBinding(
            f"{_MODELS_NAMESPACE}-{name}",
            metadata=metadata,
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            subjects=[_subject(argocd.CONTROLLER)],
            opts=self.child_options(depends_on=[role]),
        )

    def _copy_credentials(self, settings: GitopsSettings, secrets: SecretsContract) -> CustomResource:
        """The token, from the stack's store of secrets, in the form in which Argo CD looks for it.

        Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#repositories
        """
        labels = {"argocd.argoproj.io/secret-type": "repository"}
        # Forges ignore the name beside a token, but git sends none without it.
        content = {"type": "git", "url": settings.repository, "username": "git", "password": "{{ .token }}"}
        template = {"metadata": {"labels": labels}, "data": content}
        keys = {"token": settings.token_secret}
        return create_external_secret(
            secrets,
            _CREDENTIALS,
            argocd.NAMESPACE,
            keys,
            "gitops.tokenSecret",
            self.child_options(),
            template=template,
        )

    def _create(self, manifest: Mapping[str, Any], after: Sequence[pulumi.Resource]) -> CustomResource:
        metadata = manifest["metadata"]
        return CustomResource(
            f"{manifest['kind'].lower()}-{metadata['name']}",
            api_version=manifest["apiVersion"],
            kind=manifest["kind"],
            metadata=metadata,
            spec=manifest["spec"],
            opts=self.child_options(depends_on=list(after)),
        )


def build_projects(settings: GitopsSettings) -> Sequence[Mapping[str, Any]]:
    """The AppProjects: one for the app of apps, one for models."""
    return (
        _build_project(ROOT, "Applications of this stack", settings, argocd.NAMESPACE, (_APPLICATION_KIND,)),
        _build_project(MODELS, "Models that were promoted", settings, _MODELS_NAMESPACE, MODEL_KINDS),
    )


def build_root_application(settings: GitopsSettings, stack: str) -> Mapping[str, Any]:
    """The app of apps, which puts the stack's source into the others by kustomize's patches."""
    path = find_path(settings, stack)
    source = {"repoURL": settings.repository, "targetRevision": settings.revision}
    patches = [
        _patch({"kind": "Application"}, source),
        _patch({"kind": "Application", "name": MODELS}, {"path": path}),
    ]
    return {
        "apiVersion": API_VERSION,
        "kind": "Application",
        "metadata": {"name": ROOT, "namespace": argocd.NAMESPACE, "finalizers": [_FINALIZER]},
        "spec": {
            "project": ROOT,
            "source": {
                **source,
                "path": str(PurePosixPath(path).parent.parent / "applications"),
                "kustomize": {"patches": patches},
            },
            "destination": {"server": _CLUSTER, "namespace": argocd.NAMESPACE},
            "syncPolicy": {
                # An empty list of resources is more likely a mistake than an intention.
                "automated": {"prune": True, "selfHeal": True, "allowEmpty": False},
                "syncOptions": ["ServerSideApply=true"],
                # What an Application needs may come up after it. A commit need not wait for the retries of another.
                "retry": {
                    "refresh": True,
                    "limit": -1,
                    "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"},
                },
            },
        },
    }


def find_path(settings: GitopsSettings, stack: str) -> str:
    """The folder of a stack's models in the repository."""
    return settings.path or f"stacks/{stack}"


def _build_project(
    name: str, description: str, settings: GitopsSettings, namespace: str, kinds: Sequence[Kind]
) -> Mapping[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "AppProject",
        "metadata": {"name": name, "namespace": argocd.NAMESPACE},
        "spec": {
            "description": description,
            "sourceRepos": [settings.repository],
            "destinations": [{"server": _CLUSTER, "namespace": namespace}],
            "clusterResourceWhitelist": [],
            "namespaceResourceWhitelist": [{"group": kind.group, "kind": kind.kind} for kind in kinds],
        },
    }


def _patch(target: Mapping[str, str], source: Mapping[str, str]) -> Mapping[str, Any]:
    operations = [{"op": "replace", "path": f"/spec/source/{field}", "value": value} for field, value in source.items()]
    return {"target": dict(target), "patch": json.dumps(operations)}


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str]) -> Mapping[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def _subject(service_account: str) -> Mapping[str, str]:
    return {"kind": "ServiceAccount", "name": service_account, "namespace": argocd.NAMESPACE}
