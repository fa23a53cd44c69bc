"""Kubeflow Pipelines: the parts that the stack itself declares. Argo CD applies the rest, `platform/gitops/pipelines`.

Roles are here because Argo CD can only create roles with permissions that it has itself, and secrets because they are
generated for each stack. `docs/adr/0026-kubeflow-pipelines.md` lists the upstream defaults that this replaces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_random as random
from pulumi_kubernetes.core.v1 import Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.rbac.v1 import Role, RoleBinding

from infra.access import get_workload
from infra.cluster.flows import Flow, Place, Pods, select_workload
from infra.core.component import Component

_WORKLOAD = get_workload("pipelines")
NAMESPACE = _WORKLOAD.namespace

# The names under which upstream's manifests look for these secrets and this ConfigMap.
_DATABASE_SECRET = "mysql-secret"  # noqa: S105 names of Secrets
_STORE_SECRET = "mlpipeline-minio-artifact"  # noqa: S105
_LAUNCHER_CONFIG = "kfp-launcher"


def _pods(app: str, key: str = "app") -> Pods:
    return Pods(NAMESPACE, app, {key: app})


_API, _UI = _pods("ml-pipeline"), _pods("ml-pipeline-ui")
_PERSISTENCE, _SCHEDULE = _pods("ml-pipeline-persistenceagent"), _pods("ml-pipeline-scheduledworkflow")
_METADATA, _METADATA_PROXY = _pods("metadata-grpc-server", "component"), _pods("metadata-envoy", "component")
_DATABASE, _STORE, _WORKFLOWS = _pods("mysql"), _pods("seaweedfs"), _pods("workflow-controller")
_RUNS = select_workload(_WORKLOAD)

_HTTP, _GRPC = 8888, 8887

_Rule = Mapping[str, Sequence[str]]


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str], names: Sequence[str] = ()) -> _Rule:
    rule = {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
    return {**rule, "resourceNames": list(names)} if names else rule


_READ = ("get", "list", "watch")
_WRITE = (*_READ, "create", "update", "patch", "delete")

# Upstream's rules, keyed by service account, without those that pipelines of version 2 do not need. Upstream allows
# `pipeline-runner` and `ml-pipeline-ui` to read every Secret of the namespace, and the former to run commands in pods.
ROLES: Mapping[str, Sequence[_Rule]] = {
    "ml-pipeline": (
        _rule("", ("pods", "pods/log"), ("get", "list", "delete")),
        _rule("argoproj.io", ("workflows",), _WRITE),
        _rule("kubeflow.org", ("scheduledworkflows",), ("create", "get", "list", "update", "patch", "delete")),
        _rule("kubeflow.org", ("scheduledworkflows/finalizers",), ("update",)),
        _rule("", ("configmaps",), ("get",), (_LAUNCHER_CONFIG,)),
    ),
    "ml-pipeline-persistenceagent": (
        _rule("argoproj.io", ("workflows",), _READ),
        _rule("kubeflow.org", ("scheduledworkflows",), _READ),
    ),
    "ml-pipeline-scheduledworkflow": (
        _rule("argoproj.io", ("workflows",), _WRITE),
        _rule("kubeflow.org", ("scheduledworkflows", "scheduledworkflows/finalizers"), _WRITE),
        _rule("", ("events",), ("create", "patch")),
    ),
    "ml-pipeline-ui": (
        _rule("", ("pods", "pods/log"), ("get",)),
        _rule("", ("events",), ("list",)),
        _rule("", ("secrets",), ("get",), (_STORE_SECRET,)),
        _rule("argoproj.io", ("workflows",), ("get", "list")),
    ),
    _WORKLOAD.service_account: (
        _rule("", ("secrets",), ("get",), (_STORE_SECRET,)),
        _rule("", ("configmaps",), ("get",), (_LAUNCHER_CONFIG,)),
        _rule("", ("pods",), ("get",)),
        _rule("", ("persistentvolumeclaims",), ("get", "create", "delete")),
        _rule("argoproj.io", ("workflowtaskresults",), ("create", "patch")),
    ),
    # Argo Workflows' controller. If a run is cancelled, it ends the run's steps with a command in their pods.
    "argo": (
        _rule("coordination.k8s.io", ("leases",), ("create", "get", "update")),
        _rule("", ("pods",), _WRITE),
        _rule("", ("pods/exec",), ("create",)),
        _rule("", ("configmaps",), _READ),
        _rule(
            "", ("persistentvolumeclaims", "persistentvolumeclaims/finalizers"), ("create", "update", "delete", "get")
        ),
        _rule(
            "argoproj.io",
            (
                "workflows",
                "workflows/finalizers",
                "workflowtasksets",
                "workflowtasksets/finalizers",
                "workflowartifactgctasks",
            ),
            _WRITE,
        ),
        _rule("argoproj.io", ("workflowtemplates", "workflowtemplates/finalizers"), _READ),
        _rule("argoproj.io", ("workflowtaskresults",), ("list", "watch", "deletecollection")),
        _rule("argoproj.io", ("cronworkflows", "cronworkflows/finalizers"), (*_READ, "update", "patch", "delete")),
        _rule("", ("serviceaccounts",), ("get", "list")),
        _rule("", ("secrets",), ("get",), (_STORE_SECRET,)),
        _rule("", ("events",), ("create", "patch")),
        _rule("policy", ("poddisruptionbudgets",), ("create", "get", "delete")),
    ),
}


class Pipelines(Component):
    """The secrets and roles that the objects applied by Argo CD require.

    There is no route to the user interface, because neither that nor the API has authentication.
    """

    layer = "cluster"
    flows = (
        *(
            Flow(client, Place.API_SERVER, reason=reason)
            for client, reason in (
                (_API, "creates workflows"),
                (_PERSISTENCE, "watches workflows"),
                (_SCHEDULE, "creates workflows by schedule"),
                (_UI, "reads logs and events of runs"),
                (_WORKFLOWS, "creates the pods of runs"),
                (_RUNS, "report the results of steps"),
            )
        ),
        *(
            Flow(client, _API, port, reason)
            for client, reason in (
                (_PERSISTENCE, "records the state of runs"),
                (_SCHEDULE, "creates runs"),
                (_RUNS, "look for results of earlier runs"),
            )
            for port in (_HTTP, _GRPC)
        ),
        Flow(_UI, _API, _HTTP, "shows pipelines and runs"),
        Flow(_UI, _METADATA_PROXY, 9090, "shows lineage"),
        *(
            Flow(client, _METADATA, 8080, reason)
            for client, reason in (
                (_METADATA_PROXY, "translates requests of browsers"),
                (_RUNS, "record executions and artifacts"),
                (_API, "waits for it to start"),
            )
        ),
        *(Flow(client, _DATABASE, 3306, "stores its records") for client in (_API, _METADATA)),
        *(Flow(client, _STORE, 8333, "reads and writes artifacts of runs") for client in (_API, _UI, _RUNS)),
    )

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._create_secret(_DATABASE_SECRET, {"username": "root", "password": self._generate("database-password")})
        self._create_secret(
            _STORE_SECRET, {"accesskey": self._generate("access-key"), "secretkey": self._generate("secret-key")}
        )
        for account, rules in ROLES.items():
            self._allow(account, rules)
        self.register_outputs({})

    def _generate(self, purpose: str) -> pulumi.Output[str]:
        name = f"pipelines-{purpose}"
        password = random.RandomPassword(name, length=32, special=False, opts=self.child_options())
        result: pulumi.Output[str] = password.result
        return result

    def _create_secret(self, name: str, content: Mapping[str, pulumi.Input[str]]) -> None:
        Secret(
            f"{NAMESPACE}-{name}",
            metadata=ObjectMetaArgs(name=name, namespace=NAMESPACE),
            string_data=content,
            opts=self.child_options(),
        )

    def _allow(self, account: str, rules: Sequence[Mapping[str, Any]]) -> None:
        name = f"{NAMESPACE}-{account}"
        metadata = ObjectMetaArgs(name=account, namespace=NAMESPACE)
        role = Role(name, metadata=metadata, rules=list(rules), opts=self.child_options())
        RoleBinding(
            name,
            metadata=metadata,
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
            subjects=[{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}],
            opts=self.child_options(depends_on=[role]),
        )
