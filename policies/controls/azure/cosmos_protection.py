"""Azure Cosmos DB: firewall, encryption, changes with account keys, and failure of a region or zone."""

from collections.abc import Mapping
from typing import Any

from kernel.paths import look_up
from kernel.values import as_list
from policies.controls.addresses import is_range
from policies.controls.tags import EXEMPT, is_exempt
from policies.engine.expectations import (
    IS_TRUE,
    Requirement,
    any_matches,
    expect,
    expect_set,
    fail_if_all,
    pass_if_any,
)
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

ACCOUNT = ("azure-native:cosmosdb:DatabaseAccount",)


@control(
    "azure-cosmos-firewall",
    title="The firewalls of Cosmos DB accounts deny by default",
    severity="high",
    types=ACCOUNT,
    remedy="set isVirtualNetworkFilterEnabled to true, or list ipRules",
    references=("AzPolicy:firewall-rules",),
)
def firewall(props: Props) -> Findings:
    risk = "the account is open to every network as soon as public access is enabled"
    listed = expect(props, "ipRules[*].ipAddressOrRange", Requirement("must be an address range", is_range), risk)
    filtered = expect(props, "isVirtualNetworkFilterEnabled", IS_TRUE, risk)
    yield from pass_if_any([listed, filtered])


@control(
    "azure-cosmos-metadata-writes",
    title="Account keys cannot change databases and containers of Cosmos DB",
    severity="medium",
    types=ACCOUNT,
    remedy="set disableKeyBasedMetadataWriteAccess to true",
    references=("CKV_AZURE_132", "AzPolicy:key-based-metadata"),
)
def metadata_writes(props: Props) -> Findings:
    path = "disableKeyBasedMetadataWriteAccess"
    yield from expect(props, path, IS_TRUE, "anyone with a key can delete databases, regardless of Azure roles")


@control(
    "azure-cosmos-kms",
    title="Cosmos DB accounts are encrypted with a customer-managed key",
    severity="medium",
    types=ACCOUNT,
    remedy="set keyVaultKeyUri",
    references=("CKV_AZURE_100", "AzPolicy:CMK"),
)
def kms(props: Props) -> Findings:
    yield from expect_set(props, "keyVaultKeyUri", "data is not encrypted with a key of the subscription")


@control(
    "azure-cosmos-failover",
    title="Cosmos DB accounts in several regions fail over automatically",
    severity="low",
    types=ACCOUNT,
    remedy="set enableAutomaticFailover to true",
)
def failover(props: Props) -> Findings:
    path = "enableAutomaticFailover"
    several = any_matches([look_up(props, "locations")], lambda locations: len(as_list(locations)) > 1)
    manual = any_matches([look_up(props, path)], lambda enabled: enabled is not True)
    problem = "must be true, otherwise writes stop with the first region until somebody acts"
    yield from fail_if_all(path, [several, manual], problem)


@control(
    "azure-cosmos-zones",
    title="Cosmos DB accounts are in several zones",
    severity="low",
    types=ACCOUNT,
    remedy="set isZoneRedundant to true on every location",
    settings={"exemptEnvironments": EXEMPT},
)
def zones(props: Props, settings: Mapping[str, Any]) -> Findings:
    if is_exempt(props, settings["exemptEnvironments"]):
        return
    yield from expect(props, "locations[*].isZoneRedundant", IS_TRUE, "the loss of one zone stops the account")
