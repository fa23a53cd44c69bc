"""States that contain a managed cluster, as the simulated clouds store it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rehearsal.simulator.core.state_store import ResourceRecord, StateStore

_GROUP = "/subscriptions/s/resourceGroups/rg/providers"
AKS = f"{_GROUP}/Microsoft.ContainerService/managedClusters/acme"
SUBNET = f"{_GROUP}/Microsoft.Network/virtualNetworks/vnet/subnets/nodes"
TENANT = "11111111-2222-4333-a444-555555555555"
ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")


def put(state: StateStore, type_: str, id_: str, inputs: Mapping[str, Any], **outputs: Any) -> ResourceRecord:
    record = ResourceRecord(type_, id_, f"urn::{id_}", 0, inputs, outputs)
    state.put(record)
    return record


def agent_pool(name: str = "user", **inputs: Any) -> dict[str, Any]:
    """An AKS agent pool, by default autoscaled from 2 to 4 nodes in three zones."""
    return {
        "name": name,
        "mode": "User",
        "vmSize": "Standard_D4s_v5",
        "enableAutoScaling": True,
        "count": 2,
        "minCount": 2,
        "maxCount": 4,
        "availabilityZones": ["1", "2", "3"],
        "maxPods": 110,
        "nodeLabels": {"groundwork/pool": name},
        "vnetSubnetID": SUBNET,
        **inputs,
    }


def put_aks(state: StateStore, *pools: Mapping[str, Any], **inputs: Any) -> ResourceRecord:
    put(state, "azure-native:network:Subnet", SUBNET, {"addressPrefix": "10.20.0.0/18"})
    issuer = f"https://westeurope.oic.prod-aks.azure.com/{TENANT}/22222222-2222-4222-a222-222222222222/"
    return put(
        state,
        "azure-native:containerservice:ManagedCluster",
        AKS,
        {
            "resourceGroupName": "rg",
            "resourceName": "acme",
            "agentPoolProfiles": list(pools) or [agent_pool()],
            **inputs,
        },
        fqdn="acme-01234567.hcp.westeurope.azmk8s.io",
        oidcIssuerProfile={"enabled": True, "issuerURL": issuer},
    )


def put_agent_pool(state: StateStore, name: str, **inputs: Any) -> ResourceRecord:
    """An agent pool that is a separate resource, outside of the cluster's profile."""
    profile = agent_pool(name, **inputs)
    profile["agentPoolName"] = profile.pop("name")
    return put(state, "azure-native:containerservice:AgentPool", f"{AKS}/agentPools/{name}", profile)


def put_eks(state: StateStore, *, tags: Mapping[str, str] | None = None, **inputs: Any) -> ResourceRecord:
    """An EKS cluster with three subnets, which have these tags."""
    for number, zone in enumerate(ZONES):
        subnet = {"cidrBlock": f"10.20.{64 * number}.0/18", "availabilityZone": zone, "tags": dict(tags or {})}
        put(state, "aws:ec2/subnet:Subnet", f"subnet-{number}", subnet)
    return put(
        state,
        "aws:eks/cluster:Cluster",
        "acme",
        {"name": "acme", "bootstrapSelfManagedAddons": False, **inputs},
        arn="arn:aws:eks:eu-west-1:123456789012:cluster/acme",
    )


def put_node_group(state: StateStore, name: str = "user", size: str = "m6i.xlarge", **inputs: Any) -> ResourceRecord:
    """A node group of two nodes."""
    group = {
        "clusterName": "acme",
        "instanceTypes": [size],
        "subnetIds": [f"subnet-{number}" for number in range(len(ZONES))],
        "scalingConfig": {"minSize": 2, "maxSize": 4, "desiredSize": 2},
        "labels": {"groundwork/pool": name},
        "taints": [],
        **inputs,
    }
    return put(
        state,
        "aws:eks/nodeGroup:NodeGroup",
        f"acme:{name}",
        group,
        nodeGroupName=name,
        version=inputs.get("version", ""),
    )


def put_addons(state: StateStore, *names: str, **settings: Mapping[str, Any]) -> None:
    """EKS add-ons; `settings` are their configuration values, keyed by name, with `_` for `-`."""
    for name in names:
        values = settings.get(name.replace("-", "_"))
        inputs = {"clusterName": "acme", "addonName": name}
        put(
            state,
            "aws:eks/addon:Addon",
            f"acme:{name}",
            {**inputs, "configurationValues": json.dumps(values)} if values else inputs,
        )


def put_association(state: StateStore, namespace: str, service_account: str) -> ResourceRecord:
    inputs = {"clusterName": "acme", "namespace": namespace, "serviceAccount": service_account}
    return put(
        state, "aws:eks/podIdentityAssociation:PodIdentityAssociation", f"a-{namespace}-{service_account}", inputs
    )
