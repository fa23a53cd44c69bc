"""The kubeconfig of an AKS cluster, as its function listManagedClusterUserCredentials returns it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import yaml

from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.resource_model import StateReader


def list_user_credentials(
    arguments: Mapping[str, Any], state: StateReader, account: Mapping[str, str]
) -> Mapping[str, Any]:
    """The kubeconfig of a cluster with Entra sign-in: without a credential, but with the exec plugin that gets one."""
    group, name = arguments["resourceGroupName"], arguments["resourceName"]
    id_ = (
        f"/subscriptions/{account['subscriptionId']}/resourceGroups/{group}/providers/"
        f"Microsoft.ContainerService/managedClusters/{name}"
    )
    cluster = state.find(id_)
    if cluster is None:
        raise CloudError(
            f"ResourceNotFound: The Resource 'Microsoft.ContainerService/managedClusters/{name}' under resource group "
            f"'{group}' was not found."
        )
    user = f"clusterUser_{group}_{name}"
    private = None if arguments.get("serverFqdn") == "public" else cluster.outputs.get("privateFQDN")
    host = private or cluster.outputs["fqdn"]
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": f"https://{host}:443"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
        "users": [{"name": user, "user": {"exec": _build_exec_plugin(account["tenantId"])}}],
    }
    return {
        "kubeconfigs": [
            {"name": "clusterUser", "value": base64.b64encode(yaml.safe_dump(kubeconfig).encode()).decode()}
        ]
    }


def _build_exec_plugin(tenant: str) -> Mapping[str, Any]:
    # The two IDs are those of AKS's own applications in Entra, the same in every tenant.
    # Source: https://azure.github.io/kubelogin/concepts/aks.html
    return {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "kubelogin",
        "args": [
            "get-token",
            "--environment",
            "AzurePublicCloud",
            "--server-id",
            "6dae42f8-4368-4678-94ff-3960e28e3630",
            "--client-id",
            "80faf920-1908-4b52-b5ef-a8e7bedfc67a",
            "--tenant-id",
            tenant,
            "--login",
            "devicecode",
        ],
    }
