"""The kubeconfig of an EKS cluster: its exec plugin, the AWS CLI, gets a token for its user."""

from __future__ import annotations

import pulumi
from pulumi_aws import eks


def create_kubeconfig(cluster: eks.Cluster, name: pulumi.Output[str], region: str) -> pulumi.Output[str]:
    """A kubeconfig without credentials. It is known once the cluster's `name` is known."""
    command = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["eks", "get-token", "--cluster-name", name, "--region", region, "--output", "json"],
        "interactiveMode": "Never",
    }
    server = {"server": cluster.endpoint, "certificate-authority-data": cluster.certificate_authority.data}
    return pulumi.Output.json_dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": server}],
            "users": [{"name": name, "user": {"exec": command}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )
