"""Regions of Azure resources, for data that must not leave certain countries."""

from collections.abc import Mapping
from typing import Any

from policies.engine.control import Setting
from policies.engine.expectations import Requirement, expect
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

LOCATED = (
    "azure-native:containerregistry:Registry",
    "azure-native:containerservice:ManagedCluster",
    "azure-native:cosmosdb:DatabaseAccount",
    "azure-native:dbforpostgresql:Server",
    "azure-native:keyvault:Vault",
    "azure-native:machinelearningservices:Workspace",
    "azure-native:network:VirtualNetwork",
    "azure-native:resources:ResourceGroup",
    "azure-native:storage:StorageAccount",
)


@control(
    "azure-resources-region",
    title="Resources are in the allowed regions",
    severity="high",
    types=LOCATED,
    remedy="set location to one in the setting allowed; if that is empty, every region is allowed",
    references=("AzPolicy:allowed-locations",),
    settings={"allowed": Setting({"type": "array", "items": {"type": "string"}}, default=[])},
)
def region(props: Props, settings: Mapping[str, Any]) -> Findings:
    allowed = {_normalize(name) for name in settings["allowed"]}
    if allowed:
        named = Requirement("must be an allowed region", lambda name: _normalize(name) in allowed)
        risk = "data can leave the countries in which it must stay"
        # A resource without a location inherits it from its group or provider. Cosmos DB can have several locations.
        yield from expect(props, "location", named, risk, absent_passes=True)
        yield from expect(props, "locations[*].locationName", named, risk, absent_passes=True)


def _normalize(name: Any) -> str:
    """Azure reads `West Europe` as `westeurope`."""
    return str(name).replace(" ", "").lower()
