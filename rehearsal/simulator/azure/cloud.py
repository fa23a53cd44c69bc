"""The simulated `azure-native` provider: one subscription of one Entra tenant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from kernel.values import UNKNOWN
from rehearsal.simulator.azure import (
    billing,
    cluster,
    databases,
    documents,
    endpoints,
    identity,
    kubeconfig,
    maintenance,
    monitoring,
    network,
    nodes,
    references,
    secrets,
    storage,
    telemetry,
    training,
)
from rehearsal.simulator.azure.api_constraints import constrain
from rehearsal.simulator.azure.capacity import limit
from rehearsal.simulator.core.circumstances import Person
from rehearsal.simulator.core.cloud import Cloud, ProviderFunction
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.resource_model import ResourceModel, ResourceRequest, StateReader

MODULES = (
    network,
    endpoints,
    identity,
    secrets,
    storage,
    databases,
    documents,
    telemetry,
    monitoring,
    billing,
    cluster,
    nodes,
    maintenance,
    training,
)
MODELS: Mapping[str, ResourceModel] = {
    model.type: limit(constrain(model)) for module in MODULES for model in module.MODELS
}
# The current ones among the values at
# https://www.pulumi.com/registry/packages/azure-native/installation-configuration/
_ENVIRONMENTS = ("public", "usgovernment", "china")
_USER_CREDENTIALS = "azure-native:containerservice:listManagedClusterUserCredentials"


def _get_client_config(
    arguments: Mapping[str, Any],  # noqa: ARG001 the function takes no arguments
    state: StateReader,  # noqa: ARG001 existing resources do not affect it
    account: Mapping[str, str],
) -> Mapping[str, Any]:
    known = {key: account[key] for key in ("clientId", "subscriptionId", "tenantId")}
    return {**known, "objectId": identity.get_object_id(account)}


class _Azure:
    name = "azure-native"
    # Obviously artificial IDs, which cannot be mistaken for real ones.
    account: Mapping[str, str] = {
        "subscriptionId": "00000000-0000-4000-8000-000000000001",
        "tenantId": "00000000-0000-4000-8000-000000000002",
        "clientId": "00000000-0000-4000-8000-000000000003",
        "objectId": identity.OBJECT_IDS[Person.DEPLOYER],
    }
    functions: Mapping[str, ProviderFunction] = {
        "azure-native:authorization:getClientConfig": _get_client_config,
        _USER_CREDENTIALS: kubeconfig.list_user_credentials,
    }
    secret_functions: Collection[str] = (_USER_CREDENTIALS,)

    def configure(self, variables: Mapping[str, Any]) -> Mapping[str, str]:
        environment = variables.get("environment", "public")
        if environment is not UNKNOWN and environment not in _ENVIRONMENTS:
            raise CloudError(f"unknown Azure environment '{environment}': use one of {', '.join(_ENVIRONMENTS)}")
        configured = {key: variables.get(key) for key in ("location", "subscriptionId", "tenantId")}
        return {key: str(value) for key, value in configured.items() if value is not None and value is not UNKNOWN}

    def get_model(self, type_: str) -> ResourceModel | None:
        return MODELS.get(type_)

    def find_missing_reference(self, request: ResourceRequest, value: str) -> str | None:
        return references.find_missing_reference(request, value)


CLOUD: Cloud = _Azure()
