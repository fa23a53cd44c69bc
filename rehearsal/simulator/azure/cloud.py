"""The simulated Azure: what its Resource Manager would answer, without a subscription."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rehearsal.simulator.azure import arm, cluster, data, databases, identity, monitor, network, training, vault
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.resource_model import Cloud, Invoke, ResourceModel, ResourceRequest, StateReader
from rehearsal.simulator.core.values import UNKNOWN

MODELS: Mapping[str, ResourceModel] = {
    model.type: model
    for module in (identity, network, monitor, vault, data, databases, cluster, training)
    for model in module.MODELS
}
# Those in use today of the values documented at
# https://www.pulumi.com/registry/packages/azure-native/installation-configuration/
_ENVIRONMENTS = ("public", "usgovernment", "china")
_USER_CREDENTIALS = "azure-native:containerservice:listManagedClusterUserCredentials"


def _client_config(
    arguments: Mapping[str, Any],  # noqa: ARG001 it takes none
    state: StateReader,  # noqa: ARG001 it depends on nothing that exists
    account: Mapping[str, str],
) -> Mapping[str, Any]:
    return {key: account[key] for key in ("clientId", "objectId", "subscriptionId", "tenantId")}


class _Azure:
    name = "azure-native"
    # Template-up IDs that anyone can tell from real ones.
    account: Mapping[str, str] = {
        "subscriptionId": "00000000-0000-4000-8000-000000000001",
        "tenantId": "00000000-0000-4000-8000-000000000002",
        "clientId": "00000000-0000-4000-8000-000000000003",
        "objectId": "00000000-0000-4000-8000-000000000004",
    }
    invokes: Mapping[str, Invoke] = {
        "azure-native:authorization:getClientConfig": _client_config,
        _USER_CREDENTIALS: cluster.user_credentials,
    }
    secret_invokes: Collection[str] = (_USER_CREDENTIALS,)

    def configure(self, variables: Mapping[str, Any]) -> Mapping[str, str]:
        environment = variables.get("environment", "public")
        if environment is not UNKNOWN and environment not in _ENVIRONMENTS:
            raise CloudError(f"unknown Azure environment '{environment}': use one of {', '.join(_ENVIRONMENTS)}")
        given = {key: variables.get(key) for key in ("location", "subscriptionId", "tenantId")}
        return {key: str(value) for key, value in given.items() if value is not None and value is not UNKNOWN}

    def model(self, type_: str) -> ResourceModel | None:
        return MODELS.get(type_)

    def find_missing_reference(self, request: ResourceRequest, value: str) -> str | None:
        return arm.find_missing_reference(request, value)


CLOUD: Cloud = _Azure()
