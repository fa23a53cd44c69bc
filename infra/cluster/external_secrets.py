"""External Secrets, which copies the values of the cloud's secrets into the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.rbac.v1 import Role, RoleBinding

from infra.access import get_workload
from infra.cluster.flows import Flow, Place, Pods
from infra.cluster.pod_values import budget, resources, zone_spread
from infra.cluster.release import WAIT_UNTIL_READY, create_release
from infra.cluster.versions import EXTERNAL_SECRETS
from infra.contract import Foundation, SecretsContract
from infra.core.component import Component, StackContext
from infra.core.settings.catalogue import NAMESPACE
from kernel.annotations import SETTING

_API_VERSION = "external-secrets.io/v1"
SECRET_STORE = "platform"  # noqa: S105 the name of the ClusterSecretStore
_WORKLOAD = get_workload("external-secrets")
_WEBHOOK = Pods(_WORKLOAD.namespace, "webhook", {"app.kubernetes.io/name": "external-secrets-webhook"})


@dataclass(frozen=True)
class ExternalSecretsArgs:
    context: StackContext
    foundation: Foundation


class ExternalSecrets(Component):
    """The operator, and a ClusterSecretStore on the stack's store of secrets, which it reads with its own identity."""

    layer = "cluster"
    flows = (
        Flow(Pods(_WORKLOAD.namespace), Place.API_SERVER, reason="watches ExternalSecrets and writes Secrets"),
        Flow(Place.API_SERVER, _WEBHOOK, 10250, "calls the webhook"),
    )

    def __init__(self, name: str, args: ExternalSecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = create_release(
            EXTERNAL_SECRETS.name, EXTERNAL_SECRETS, _WORKLOAD.namespace, _values(args), self.child_options()
        )
        CustomResource(
            f"{name}-store",
            api_version=_API_VERSION,
            kind="ClusterSecretStore",
            metadata=ObjectMetaArgs(name=SECRET_STORE, annotations=WAIT_UNTIL_READY),
            spec={"provider": args.foundation.secrets.store_provider},
            opts=self.child_options(depends_on=[release, self._allow_own_tokens()]),
        )
        self.register_outputs({"store": SECRET_STORE})

    def _allow_own_tokens(self) -> pulumi.Resource:
        """Allow the operator to create tokens of its own service account, which a store may name as its identity."""
        name = "external-secrets-tokens"
        metadata = ObjectMetaArgs(name=name, namespace=_WORKLOAD.namespace)
        rule = {
            "apiGroups": [""],
            "resources": ["serviceaccounts/token"],
            "resourceNames": [_WORKLOAD.service_account],
            "verbs": ["create"],
        }
        role = Role(name, metadata=metadata, rules=[rule], opts=self.child_options())
        binding: pulumi.Resource = RoleBinding(
            name,
            metadata=metadata,
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            subjects=[{"kind": "ServiceAccount", "name": _WORKLOAD.service_account, "namespace": _WORKLOAD.namespace}],
            opts=self.child_options(depends_on=[role]),
        )
        return binding


def create_external_secret(
    store: SecretsContract,
    name: str,
    namespace: str,
    keys: Mapping[str, str],
    setting: str,
    opts: pulumi.ResourceOptions,
    template: Mapping[str, Any] | None = None,
) -> CustomResource:
    """A Secret of this name with values of the stack's store.

    keys      names of secrets in the store, as people chose them, keyed by the Secret's keys
    setting   path of the setting that has these names
    template  content of the Secret that refers to these keys, instead of the keys themselves

    Resources that depend on it wait until the store has all of them.
    """
    data = [{"secretKey": key, "remoteRef": {"key": f"{store.name_prefix}{name}"}} for key, name in keys.items()]
    return CustomResource(
        f"{namespace}-{name}",
        api_version=_API_VERSION,
        kind="ExternalSecret",
        metadata=ObjectMetaArgs(
            name=name, namespace=namespace, annotations={**WAIT_UNTIL_READY, SETTING: f"{NAMESPACE}:{setting}"}
        ),
        spec={
            "refreshInterval": "1h",
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": SECRET_STORE},
            "target": {"name": name, **({"template": template} if template else {})},
            "data": data,
        },
        opts=opts,
    )


def _values(args: ExternalSecretsArgs) -> Mapping[str, Any]:
    replicas = args.context.settings.resilience.replicas
    identity = args.foundation.identities[_WORKLOAD.name]
    return {
        **_deployment("external-secrets", replicas, resources("50m", "96Mi", "256Mi")),
        "leaderElect": replicas > 1,
        # Off by default in the chart. Its webhook and certificate controller serve only /readyz, which is on.
        "livenessProbe": {"enabled": True},
        "readinessProbe": {"enabled": True},
        "serviceAccount": {"create": False, "name": _WORKLOAD.service_account},
        # By default the chart allows the operator to act as any service account; a separate role allows only its own.
        "rbac": {"serviceAccountTokenCreate": False},
        "podLabels": dict(identity.pod_labels),
        "serviceMonitor": {"enabled": True},
        # Only stores and secrets: no other workload pushes secrets into the cloud, or generates them in the cluster.
        "processClusterPushSecret": False,
        "processPushSecret": False,
        "processClusterGenerator": False,
        "webhook": {
            **_deployment("external-secrets-webhook", replicas, resources("20m", "48Mi", "128Mi")),
            "metrics": {"service": {"enabled": True}},
        },
        "certController": {
            **_deployment("external-secrets-cert-controller", replicas, resources("20m", "96Mi", "256Mi")),
            "metrics": {"service": {"enabled": True}},
        },
    }


def _deployment(name: str, replicas: int, size: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "replicaCount": replicas,
        "podDisruptionBudget": budget(replicas),
        "topologySpreadConstraints": zone_spread(replicas, {"app.kubernetes.io/name": name}),
        "resources": size,
    }
