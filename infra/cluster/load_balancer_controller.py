"""Load balancers for Services: the AWS Load Balancer Controller, if the cluster's cloud does not create them itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from infra.access import LOAD_BALANCER_CONTROLLER
from infra.cluster.flows import Flow, Place, Pods
from infra.cluster.pod_values import annotate_account, resources, zone_spread
from infra.cluster.release import create_release
from infra.cluster.versions import AWS_LOAD_BALANCER_CONTROLLER
from infra.contract import ClusterContract, LoadBalancerControllerContract
from infra.core.component import Component, StackContext

_PODS = Pods(
    LOAD_BALANCER_CONTROLLER.namespace,
    "controller",
    {"app.kubernetes.io/name": AWS_LOAD_BALANCER_CONTROLLER.name},
)


@dataclass(frozen=True)
class LoadBalancerControllerArgs:
    context: StackContext
    cluster: ClusterContract
    controller: LoadBalancerControllerContract


class LoadBalancerController(Component):
    """The controller. cert-manager issues its webhook's certificate: the chart's own changes at each rendering."""

    layer = "cluster"
    namespace = LOAD_BALANCER_CONTROLLER.namespace
    flows = (
        Flow(Place.API_SERVER, _PODS, 9443, "calls the webhooks of pods and target groups"),
        Flow(_PODS, Place.API_SERVER, reason="watches Services"),
        Flow(_PODS, Place.PRIVATE_NETWORK, 443, "calls the load balancers' and EC2's APIs by their private endpoints"),
    )

    def __init__(self, name: str, args: LoadBalancerControllerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        create_release(
            name,
            AWS_LOAD_BALANCER_CONTROLLER,
            LOAD_BALANCER_CONTROLLER.namespace,
            _values(args),
            self.child_options(),
        )
        self.register_outputs({})


def _values(args: LoadBalancerControllerArgs) -> Mapping[str, Any]:
    replicas = args.context.settings.resilience.replicas
    return {
        "replicaCount": replicas,
        "podDisruptionBudget": {"maxUnavailable": 1} if replicas > 1 else {},
        "topologySpreadConstraints": list(zone_spread(replicas, _PODS.labels)),
        "clusterName": args.cluster.name,
        "region": args.controller.region,
        # Otherwise it would query the node's metadata service, which pods cannot reach.
        "vpcId": args.controller.vpc,
        "defaultTags": dict(args.context.naming.tags),
        "enableCertManager": True,
        # Services name their controller in an annotation. This webhook would add it, but while no pod of the
        # controller is ready, it would prevent the creation of any Service in the cluster.
        "enableServiceMutatorWebhook": False,
        # The platform has neither Ingresses nor these services.
        "createIngressClassResource": False,
        "ingressClassParams": {"create": False},
        "enableShield": False,
        "enableWaf": False,
        "enableWafv2": False,
        "serviceAccount": {
            "name": LOAD_BALANCER_CONTROLLER.service_account,
            "annotations": annotate_account(args.controller.identity),
        },
        "podLabels": dict(args.controller.identity.pod_labels),
        "podSecurityContext": {"fsGroup": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
        "securityContext": {
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        # The chart's example.
        "resources": resources("100m", "128Mi", "256Mi"),
        "serviceMonitor": {"enabled": True},
    }
