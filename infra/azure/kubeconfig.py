"""The kubeconfig of an AKS cluster: how its exec plugin, kubelogin, signs its user in."""

from __future__ import annotations

from itertools import pairwise

import yaml

# What each login takes of the arguments that AKS writes for `devicecode`, as `kubelogin convert-kubeconfig` decides it:
# the client is an application of AKS's own, and the Azure CLI, signed in as a managed identity, accepts no tenant.
# Source: https://github.com/Azure/kubelogin/blob/v0.2.19/pkg/internal/converter/convert.go
_KEPT_ARGUMENTS = {
    "azurecli": ("--server-id",),
    "devicecode": ("--environment", "--server-id", "--client-id", "--tenant-id"),
    "msi": ("--server-id",),
    "spn": ("--environment", "--server-id", "--tenant-id"),
    "workloadidentity": ("--server-id", "--tenant-id"),
}
# With this flag kubelogin reads the client from the variables that the Azure provider reads, ARM_CLIENT_ID and others.
_READS_ARM_VARIABLES = {"msi", "spn", "workloadidentity"}


def set_login(kubeconfig: str, login: str) -> str:
    """The kubeconfig that AKS returns in the format `exec`, with another login of kubelogin than `devicecode`.

    login  a value of the setting `cluster.login`
    """
    content = yaml.safe_load(kubeconfig)
    for user in content["users"]:
        plugin = user["user"]["exec"]
        command, *arguments = plugin["args"]
        values = dict(pairwise(arguments))
        kept = [text for name in _KEPT_ARGUMENTS[login] if name in values for text in (name, values[name])]
        flags = ["--use-azurerm-env-vars"] if login in _READS_ARM_VARIABLES else []
        plugin["args"] = [command, "--login", login, *kept, *flags]
    return str(yaml.safe_dump(content))
