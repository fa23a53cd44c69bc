"""How the setting `cluster.login` changes the kubeconfig that AKS returns.

Proves the arguments of kubelogin, compared with its documentation. kubelogin itself does not run.
"""

from __future__ import annotations

import base64
from typing import Any, get_args

import pytest
import yaml

from infra.azure.kubeconfig import set_login
from infra.core.settings.sections import ClusterSettings
from rehearsal.simulator.azure.kubeconfig import list_user_credentials
from rehearsal.simulator.core.state_store import StateStore

ACCOUNT = {"subscriptionId": "s", "tenantId": "the-tenant"}
SERVER, CLIENT = "6dae42f8-4368-4678-94ff-3960e28e3630", "80faf920-1908-4b52-b5ef-a8e7bedfc67a"


class Clusters(StateStore):
    """A state in which every cluster exists."""

    def __init__(self) -> None:
        super().__init__(":memory:")

    def find(self, id_: str) -> Any:  # noqa: ARG002
        return type("Cluster", (), {"outputs": {"fqdn": "c.example"}})


def exec_plugin(login: str) -> Any:
    answer = list_user_credentials({"resourceGroupName": "g", "resourceName": "c"}, Clusters(), ACCOUNT)
    received = base64.b64decode(answer["kubeconfigs"][0]["value"]).decode()
    return yaml.safe_load(set_login(received, login))["users"][0]["user"]["exec"]


@pytest.mark.parametrize(
    ("login", "arguments"),
    [
        ("azurecli", f"--server-id {SERVER}"),
        ("workloadidentity", f"--server-id {SERVER} --tenant-id the-tenant --use-azurerm-env-vars"),
        ("msi", f"--server-id {SERVER} --use-azurerm-env-vars"),
        (
            "spn",
            f"--environment AzurePublicCloud --server-id {SERVER} --tenant-id the-tenant --use-azurerm-env-vars",
        ),
        (
            "devicecode",
            f"--environment AzurePublicCloud --server-id {SERVER} --client-id {CLIENT} --tenant-id the-tenant",
        ),
    ],
)
def test_kubelogin_gets_the_arguments_of_its_login(login: str, arguments: str) -> None:
    plugin = exec_plugin(login)
    assert plugin["command"] == "kubelogin"
    assert " ".join(plugin["args"]) == f"get-token --login {login} {arguments}"


def test_every_value_of_the_setting_can_be_rendered() -> None:
    for login in get_args(ClusterSettings.model_fields["login"].annotation):
        assert login in exec_plugin(login)["args"]
