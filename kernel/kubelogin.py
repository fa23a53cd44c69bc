"""Arguments for kubelogin, the exec plugin in AKS's kubeconfig, to get a token."""

from __future__ import annotations

from collections.abc import Mapping

# The Entra application of AKS itself, which is the audience of the tokens; the same in every tenant.
# Source: https://azure.github.io/kubelogin/concepts/aks.html
AKS_SERVER = "6dae42f8-4368-4678-94ff-3960e28e3630"

# The options of each login, out of those that AKS writes for `devicecode`, as `kubelogin convert-kubeconfig` selects
# them: the client is an application of AKS, and the Azure CLI accepts no tenant when signed in as a managed identity.
# Source: https://github.com/Azure/kubelogin/blob/v0.2.19/pkg/internal/converter/convert.go
_OPTIONS = {
    "azurecli": ("--server-id",),
    "devicecode": ("--environment", "--server-id", "--client-id", "--tenant-id"),
    "msi": ("--server-id",),
    "spn": ("--environment", "--server-id", "--tenant-id"),
    "workloadidentity": ("--server-id", "--tenant-id"),
}
# With this flag kubelogin reads the client from the variables that the Azure provider reads, ARM_CLIENT_ID and others.
_READS_ARM_VARIABLES = {"msi", "spn", "workloadidentity"}


def list_token_arguments(login: str, options: Mapping[str, str]) -> list[str]:
    """The arguments of kubelogin to get a token with a login, from the options that AKS writes and their values."""
    selected = [text for name in _OPTIONS[login] if name in options for text in (name, options[name])]
    flags = ["--use-azurerm-env-vars"] if login in _READS_ARM_VARIABLES else []
    return ["get-token", "--login", login, *selected, *flags]
