"""Nodes for unschedulable pods: Karpenter, if the cluster's cloud does not add nodes itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.access import KARPENTER as WORKLOAD
from infra.cluster.flows import Flow, Place, Pods
from infra.cluster.pod_values import annotate_account, resources, zone_spread
from infra.cluster.release import create_release
from infra.cluster.versions import EKS_NODE_IMAGE, KARPENTER, KARPENTER_CRD
from infra.contract import POOL_LABEL, ClusterContract, KarpenterContract, Taint, TaintEffect
from infra.core.component import Component, StackContext
from infra.core.maintenance import MaintenanceWindow, find_window

SPOT_TAINT = Taint("groundwork/spot", "true", TaintEffect.NO_SCHEDULE)

_PODS = Pods(WORKLOAD.namespace, "controller", {"app.kubernetes.io/name": "karpenter"})
_NODE_CLASS = "groundwork"
_DISK_SIZE = "100Gi"  # the same as that of the node groups
# Older nodes would differ from new ones, which nobody would notice until they are replaced.
_NODE_LIFETIME = "336h"


@dataclass(frozen=True)
class KarpenterArgs:
    context: StackContext
    cluster: ClusterContract
    karpenter: KarpenterContract


class Karpenter(Component):
    """The controller, and the nodes that it may add: of the user pool beyond its minimum, spot nodes, and GPU nodes."""

    layer = "cluster"
    namespace = WORKLOAD.namespace
    flows = (
        Flow(_PODS, Place.API_SERVER, reason="watches pods and nodes"),
        Flow(_PODS, Place.PRIVATE_NETWORK, 443, "calls EC2 and the queue of interruptions by their private endpoints"),
    )

    def __init__(self, name: str, args: KarpenterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        crds = create_release(f"{name}-crd", KARPENTER_CRD, WORKLOAD.namespace, {}, self.child_options())
        controller = create_release(
            name, KARPENTER, WORKLOAD.namespace, _values(args), self.child_options(depends_on=[crds]), skip_crds=True
        )
        node_class = self._create("EC2NodeClass", "karpenter.k8s.aws/v1", _NODE_CLASS, _node_class(args), [controller])
        # Deleted before the controller, which terminates their nodes.
        for pool, spec in _node_pools(args).items():
            self._create("NodePool", "karpenter.sh/v1", pool, spec, [controller, node_class])
        self.register_outputs({})

    def _create(
        self, kind: str, api_version: str, name: str, spec: Mapping[str, Any], after: Sequence[pulumi.Resource]
    ) -> CustomResource:
        return CustomResource(
            f"karpenter-{kind.lower()}-{name}",
            api_version=api_version,
            kind=kind,
            metadata=ObjectMetaArgs(name=name),
            spec=spec,
            opts=self.child_options(depends_on=list(after)),
        )


def _values(args: KarpenterArgs) -> Mapping[str, Any]:
    replicas = args.context.settings.resilience.replicas
    return {
        "replicas": replicas,
        "topologySpreadConstraints": list(zone_spread(replicas, _PODS.labels)),
        "settings": {
            "clusterName": args.cluster.name,
            "interruptionQueue": args.karpenter.queue,
            # No price lookups: their API has no private endpoint.
            "isolatedVPC": True,
        },
        "controller": {
            "env": [{"name": "AWS_REGION", "value": args.karpenter.region}],
            "resources": resources("250m", "512Mi", "1Gi"),
        },
        "serviceAccount": {
            "name": WORKLOAD.service_account,
            "annotations": annotate_account(args.karpenter.identity),
        },
        "podLabels": dict(args.karpenter.identity.pod_labels),
        "serviceMonitor": {"enabled": True},
    }


def _node_class(args: KarpenterArgs) -> Mapping[str, Any]:
    """One class for all pools: from an alias, Karpenter selects the image with NVIDIA's drivers for sizes with GPUs.

    Source: https://karpenter.sh/docs/concepts/nodeclasses/ and
    https://aws-samples.github.io/karpenter-blueprints/blueprints/nvidia-gpu-workload/
    """
    karpenter = args.karpenter
    disk = {
        "volumeSize": _DISK_SIZE,
        "volumeType": "gp3",
        "encrypted": True,
        "kmsKeyID": karpenter.disk_key,
        "deleteOnTermination": True,
    }
    return {
        "amiSelectorTerms": [{"alias": EKS_NODE_IMAGE}],
        "instanceProfile": karpenter.instance_profile,
        "subnetSelectorTerms": [{"id": subnet} for subnet in karpenter.subnets],
        "securityGroupSelectorTerms": [{"id": karpenter.security_group}],
        "associatePublicIPAddress": False,
        "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": disk}],
        # One hop, so that pods cannot get the credentials of the node's role.
        "metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1},
        "tags": dict(args.context.naming.tags),
    }


def _node_pools(args: KarpenterArgs) -> Mapping[str, Mapping[str, Any]]:
    """The node pools, keyed by name. Source: https://karpenter.sh/docs/concepts/nodepools/"""
    pool = args.context.settings.cluster.user_pool
    # Interruptions are rarer with many types to choose from.
    family = {"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["c", "m", "r"]}
    generation = {"key": "karpenter.k8s.aws/instance-generation", "operator": "Gt", "values": ["4"]}
    architecture = {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}
    cores = count_cores(pool.size)
    disruption = _disruption(find_window(args.context.settings))
    pools = {
        "user": _node_pool("user", "on-demand", [_require_size(pool.size)], (pool.maximum - pool.minimum) * cores),
        "spot": _node_pool("spot", "spot", [family, generation, architecture], pool.maximum * cores, [SPOT_TAINT]),
    }
    if gpu := args.cluster.gpu_pool:
        most = gpu.maximum * count_cores(gpu.size)
        pools[gpu.name] = _node_pool(gpu.name, "on-demand", [_require_size(gpu.size)], most, gpu.taints)
    return {name: {**spec, "disruption": disruption} for name, spec in pools.items()}


def _disruption(window: MaintenanceWindow) -> Mapping[str, Any]:
    """How Karpenter ends nodes: those that are not needed at any time, those that differ from their pool in the window.

    A budget cannot allow what another one forbids, so the second is about the rest of the week, from the window's end
    on. Nodes that expire have no budgets. Source: https://karpenter.sh/docs/concepts/disruption/
    """
    outside = {
        "nodes": "0",
        "reasons": ["Drifted"],
        "schedule": f"0 {window.end.hour} * * {window.end.day}",
        "duration": f"{window.hours_outside}h",
    }
    return {
        "consolidationPolicy": "WhenEmptyOrUnderutilized",
        "consolidateAfter": "5m",
        "budgets": [{"nodes": "10%"}, outside],
    }


def _require_size(size: str) -> Mapping[str, Any]:
    return {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": [size]}


def _node_pool(
    name: str,
    capacity: str,
    requirements: Sequence[Mapping[str, Any]],
    cores: int,
    taints: Sequence[Taint] = (),
) -> Mapping[str, Any]:
    capacity_type = {"key": "karpenter.sh/capacity-type", "operator": "In", "values": [capacity]}
    return {
        "template": {
            "metadata": {"labels": {POOL_LABEL: name}},
            "spec": {
                "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": _NODE_CLASS},
                "requirements": [capacity_type, *requirements],
                "taints": [{"key": one.key, "value": one.value, "effect": str(one.effect)} for one in taints],
                "expireAfter": _NODE_LIFETIME,
            },
        },
        "limits": {"cpu": str(cores)},
    }


def count_cores(size: str) -> int:
    """The number of vCPUs of an instance size, from its suffix: 4 for m6i.xlarge, 8 for m6i.2xlarge.

    Source: https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
    """
    suffix = size.rpartition(".")[2]
    multiple = re.fullmatch(r"(\d*)xlarge", suffix)
    return 4 * int(multiple[1] or 1) if multiple else 2
