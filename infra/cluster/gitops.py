"""What Argo CD deploys: projects, which limit what it may apply and where, and the app of apps.

That one Application applies the manifests of all others, from the folder `applications` of the GitOps repository, and
inserts the repository, the revision and the folder of this stack into them. It is the only Application that Pulumi
declares: any other one is added by a commit.
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

from infra.cluster import argocd, pipelines
from infra.cluster.external_secrets import create_external_secret
from infra.contract import SecretsContract
from infra.core.component import Component, StackContext
from infra.core.settings import GitopsSettings, Settings

API_VERSION = "argoproj.io/v1alpha1"
ROOT = "applications"
MODELS = "models"
PIPELINES = "pipelines"
EXPERIMENTS = "experiments"  # also the folder of a stack's experiments, in that of its models

_MODELS_NAMESPACE = "serving"
_CREDENTIALS = "gitops-repository"
_READ = ("get", "list", "watch")
_CLUSTER = "https://kubernetes.default.svc"
_FINALIZER = "resources-finalizer.argocd.argoproj.io"  # deletes what an Application applied along with it


@dataclass(frozen=True)
class Kind:
    """A kind of object, and the name of its resource in roles."""

    group: str
    kind: str
    resource: str


# The objects that promotions write for a model, and those that all models of a stack share.
MODEL_KINDS = (
    Kind("serving.kserve.io", "InferenceService", "inferenceservices"),
    Kind("gateway.networking.k8s.io", "HTTPRoute", "httproutes"),
    Kind("policy", "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind("networking.k8s.io", "NetworkPolicy", "networkpolicies"),
    Kind("monitoring.coreos.com", "ServiceMonitor", "servicemonitors"),
)
# The experiments' file, and routes from models' hosts to their router.
EXPERIMENT_KINDS = (
    Kind("", "ConfigMap", "configmaps"),
    Kind("gateway.networking.k8s.io", "HTTPRoute", "httproutes"),
)
# The objects of Kubeflow Pipelines, except for the roles and secrets that the stack declares.
PIPELINE_KINDS = (
    Kind("apps", "Deployment", "deployments"),
    Kind("", "Service", "services"),
    Kind("", "ConfigMap", "configmaps"),
    Kind("", "ServiceAccount", "serviceaccounts"),
    Kind("", "PersistentVolumeClaim", "persistentvolumeclaims"),
)
_DEFINITION_KIND = Kind("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions")
PIPELINE_DEFINITIONS = (
    "scheduledworkflows.kubeflow.org",
    *(
        f"{resource}.argoproj.io"
        for resource in (
            "clusterworkflowtemplates",
            "cronworkflows",
            "workflowartifactgctasks",
            "workfloweventbindings",
            "workflows",
            "workflowtaskresults",
            "workflowtasksets",
            "workflowtemplates",
        )
    ),
)
_APPLICATION_KIND = Kind("argoproj.io", "Application", "applications")

# Objects that controllers create from those, which Argo CD shows and reads the health of. They include no secrets.
_SHOWN = {
    "": ("events", "pods", "pods/log", "services"),
    "apps": ("deployments", "replicasets"),
    "autoscaling": ("horizontalpodautoscalers",),
    "argoproj.io": ("applications", "appprojects"),
    # Kinds that are installed after Argo CD: it neither shows nor prunes kinds that it does not watch.
    "apiextensions.k8s.io": ("customresourcedefinitions",),
}


@dataclass(frozen=True)
class GitOpsArgs:
    context: StackContext
    secrets: SecretsContract


class GitOps(Component):
    """Argo CD's permissions, its projects and, if the stack has a repository, the app of apps."""

    layer = "cluster"

    def __init__(self, name: str, args: GitOpsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        settings, stack = args.context.settings, args.context.naming.stack
        kinds = dict.fromkeys((*MODEL_KINDS, *(EXPERIMENT_KINDS if settings.images.experiment else ())))
        permissions = [*self._allow_reading(settings), *self._allow_writing(_MODELS_NAMESPACE, list(kinds))]
        if settings.pipelines.enabled:
            permissions += [*self._allow_writing(pipelines.NAMESPACE, PIPELINE_KINDS), *self._allow_definitions()]
        if settings.gitops.repository:
            projects = [self._create(manifest, permissions) for manifest in build_projects(settings)]
            credentials = (
                [self._copy_credentials(settings.gitops, args.secrets)] if settings.gitops.token_secret else []
            )
            self._create(build_root_application(settings, stack), [*projects, *credentials])
        self.register_outputs({})

    def _allow_reading(self, settings: Settings) -> Iterator[pulumi.Resource]:
        """In all namespaces, because Argo CD caches the whole cluster."""
        resources = {**_SHOWN, **{kind.group: (kind.resource,) for kind in MODEL_KINDS}}
        rules = [_rule(group, names, _READ) for group, names in resources.items()]
        optional = (
            *(EXPERIMENT_KINDS if settings.images.experiment else ()),
            *(PIPELINE_KINDS if settings.pipelines.enabled else ()),
        )
        rules += [_rule(kind.group, (kind.resource,), _READ) for kind in dict.fromkeys(optional)]
        yield self._create_cluster_role("argocd-read", rules, (argocd.CONTROLLER, argocd.SERVER))

    def _allow_definitions(self) -> Iterator[pulumi.Resource]:
        """The custom resource definitions of Kubeflow Pipelines; a permission to create cannot be limited to names."""
        group, resources = _DEFINITION_KIND.group, (_DEFINITION_KIND.resource,)
        named = {**_rule(group, resources, ("update", "patch", "delete")), "resourceNames": list(PIPELINE_DEFINITIONS)}
        rules = [_rule(group, resources, ("create",)), named]
        yield self._create_cluster_role("argocd-apply-definitions", rules, (argocd.CONTROLLER,))

    def _create_cluster_role(
        self, name: str, rules: Sequence[Mapping[str, Any]], accounts: Sequence[str]
    ) -> ClusterRoleBinding:
        role = ClusterRole(name, metadata=ObjectMetaArgs(name=name), rules=list(rules), opts=self.child_options())
        return ClusterRoleBinding(
            name,
            metadata=ObjectMetaArgs(name=name),
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            subjects=[_subject(account) for account in accounts],
            opts=self.child_options(depends_on=[role]),
        )

    def _allow_writing(self, namespace: str, kinds: Sequence[Kind]) -> Iterator[pulumi.Resource]:
        """In an Application's namespace, the kinds that its project allows; people cannot write through Argo CD."""
        name = "argocd-apply"
        metadata = ObjectMetaArgs(name=name, namespace=namespace)
        verbs = ("create", "update", "patch", "delete")
        rules = [_rule(kind.group, (kind.resource,), verbs) for kind in kinds]
        role = Role(f"{namespace}-{name}", metadata=metadata, rules=rules, opts=self.child_options())
        yield RoleBinding(
            f"{namespace}-{name}",
            metadata=metadata,
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            subjects=[_subject(argocd.CONTROLLER)],
            opts=self.child_options(depends_on=[role]),
        )

    def _copy_credentials(self, settings: GitopsSettings, secrets: SecretsContract) -> CustomResource:
        """The token from the stack's store of secrets, in the form that Argo CD expects.

        Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#repositories
        """
        labels = {"argocd.argoproj.io/secret-type": "repository"}
        # Forges ignore the user name of a token, but git does not send the token without one.
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


def build_projects(settings: Settings) -> Sequence[Mapping[str, Any]]:
    """The AppProjects: one for the app of apps, and one for each Application."""
    repository = settings.gitops.repository
    projects = [
        _build_project(ROOT, "Applications of this stack", repository, argocd.NAMESPACE, (_APPLICATION_KIND,)),
        _build_project(MODELS, "Models that were promoted", repository, _MODELS_NAMESPACE, MODEL_KINDS),
    ]
    if settings.images.experiment:
        projects.append(
            _build_project(EXPERIMENTS, "Experiments with models", repository, _MODELS_NAMESPACE, EXPERIMENT_KINDS)
        )
    if settings.pipelines.enabled:
        projects.append(
            _build_project(
                PIPELINES,
                "Kubeflow Pipelines",
                repository,
                pipelines.NAMESPACE,
                PIPELINE_KINDS,
                cluster_kinds=(_DEFINITION_KIND,),
            )
        )
    return projects


def build_root_application(settings: Settings, stack: str) -> Mapping[str, Any]:
    """The app of apps, which inserts the stack's source into the others with kustomize patches."""
    path = find_path(settings.gitops, stack)
    root = PurePosixPath(path).parent.parent
    source = {"repoURL": settings.gitops.repository, "targetRevision": settings.gitops.revision}
    patches = [
        _patch({"kind": "Application"}, source),
        _patch({"kind": "Application", "name": MODELS}, {"path": path}),
        _patch({"kind": "Application", "name": EXPERIMENTS}, {"path": f"{path}/{EXPERIMENTS}"}),
        _patch({"kind": "Application", "name": PIPELINES}, {"path": str(root / PIPELINES)}),
    ]
    # Their folders in `applications`, kustomize components, add the Applications.
    optional = {EXPERIMENTS: settings.images.experiment, PIPELINES: settings.pipelines.enabled}
    enabled = [name for name, is_enabled in optional.items() if is_enabled]
    components = {"components": enabled} if enabled else {}
    return {
        "apiVersion": API_VERSION,
        "kind": "Application",
        "metadata": {"name": ROOT, "namespace": argocd.NAMESPACE, "finalizers": [_FINALIZER]},
        "spec": {
            "project": ROOT,
            "source": {
                **source,
                "path": str(root / "applications"),
                "kustomize": {"patches": patches, **components},
            },
            "destination": {"server": _CLUSTER, "namespace": argocd.NAMESPACE},
            "syncPolicy": {
                # An empty list of resources is more likely a mistake than an intention.
                "automated": {"prune": True, "selfHeal": True, "allowEmpty": False},
                "syncOptions": ["ServerSideApply=true"],
                # An Application may be synced before what it needs, so retry; a new commit does not wait for retries.
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
    name: str,
    description: str,
    repository: str,
    namespace: str,
    kinds: Sequence[Kind],
    cluster_kinds: Sequence[Kind] = (),
) -> Mapping[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "AppProject",
        "metadata": {"name": name, "namespace": argocd.NAMESPACE},
        "spec": {
            "description": description,
            "sourceRepos": [repository],
            "destinations": [{"server": _CLUSTER, "namespace": namespace}],
            "clusterResourceWhitelist": _list_kinds(cluster_kinds),
            "namespaceResourceWhitelist": _list_kinds(kinds),
        },
    }


def _list_kinds(kinds: Sequence[Kind]) -> Sequence[Mapping[str, str]]:
    return [{"group": kind.group, "kind": kind.kind} for kind in kinds]


def _patch(target: Mapping[str, str], source: Mapping[str, str]) -> Mapping[str, Any]:
    operations = [{"op": "replace", "path": f"/spec/source/{field}", "value": value} for field, value in source.items()]
    return {"target": dict(target), "patch": json.dumps(operations)}


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str]) -> Mapping[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def _subject(service_account: str) -> Mapping[str, str]:
    return {"kind": "ServiceAccount", "name": service_account, "namespace": argocd.NAMESPACE}
