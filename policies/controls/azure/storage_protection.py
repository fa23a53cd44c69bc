"""Azure Storage: firewall, encryption, copies, and recovery."""

from collections.abc import Mapping
from typing import Any

from kernel.paths import look_up
from kernel.values import ABSENT, all_hold, any_holds, as_list
from policies.engine.control import Setting
from policies.engine.expectations import (
    IS_FALSE,
    IS_TRUE,
    Requirement,
    any_matches,
    at_least,
    expect,
    fail_if_all,
    one_of,
)
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

ACCOUNT = ("azure-native:storage:StorageAccount",)
BLOB_SERVICE = ("azure-native:storage:BlobServiceProperties",)


@control(
    "azure-storage-network-default",
    title="The firewalls of storage accounts deny by default",
    severity="critical",
    types=ACCOUNT,
    remedy="set networkRuleSet.defaultAction to Deny",
    references=("CKV_AZURE_35", "AZU-0012", "CIS-Azure5 9.3.2.3"),
)
def network_default(props: Props) -> Findings:
    risk = "every network reaches the account as soon as public access is enabled"
    yield from expect(props, "networkRuleSet.defaultAction", one_of("Deny"), risk)


@control(
    "azure-storage-trusted-services",
    title="Trusted Azure services can reach storage accounts through their firewalls",
    severity="medium",
    types=ACCOUNT,
    remedy="leave networkRuleSet.bypass unset or include AzureServices",
    references=("AZU-0010", "CIS-Azure5 9.3.5"),
)
def trusted_services(props: Props) -> Findings:
    def names_services(value: Any) -> bool:
        return isinstance(value, str) and "azureservices" in [part.strip().lower() for part in value.split(",")]

    included = Requirement("must include AzureServices", names_services)
    risk = "logs, backups and encryption of other services fail"
    yield from expect(props, "networkRuleSet.bypass", included, risk, absent_passes=True)


@control(
    "azure-storage-kms",
    title="Storage accounts are encrypted with a customer-managed key",
    severity="medium",
    types=ACCOUNT,
    remedy="set encryption.keySource to Microsoft.Keyvault, with keyVaultProperties",
    references=("CKV2_AZURE_1", "AZU-0060"),
)
def kms(props: Props) -> Findings:
    risk = "blobs are not encrypted with a key of the subscription"
    yield from expect(props, "encryption.keySource", one_of("Microsoft.Keyvault"), risk)


@control(
    "azure-storage-cross-tenant",
    title="Storage accounts do not replicate to other tenants",
    severity="medium",
    types=ACCOUNT,
    remedy="leave allowCrossTenantReplication unset or set it to false",
    references=("AzPolicy:cross-tenant",),
)
def cross_tenant(props: Props) -> Findings:
    risk = "a rule can copy every new blob to another organization"
    yield from expect(props, "allowCrossTenantReplication", IS_FALSE, risk, absent_passes=True)


@control(
    "azure-storage-local-users",
    title="Storage accounts have no local users",
    severity="low",
    types=ACCOUNT,
    remedy="set isLocalUserEnabled to false",
    references=("CKV_AZURE_244",),
)
def local_users(props: Props) -> Findings:
    path = "isLocalUserEnabled"
    enabled = any_matches([look_up(props, path)], lambda value: value is not False and value is not ABSENT)
    # By default Azure allows them if the account has a hierarchical namespace, which they require.
    unset = any_matches([look_up(props, path)], lambda value: value is ABSENT)
    possible = any_matches([look_up(props, "isHnsEnabled")], lambda value: value not in (ABSENT, False))
    problem = "must be false, otherwise passwords and SSH keys give access that Azure's roles do not show"
    yield from fail_if_all(path, [any_holds((enabled, all_hold((unset, possible))))], problem)


@control(
    "azure-storage-redundancy",
    title="Storage accounts are in several zones or regions",
    severity="low",
    types=ACCOUNT,
    remedy="set sku.name to one with ZRS, GRS or GZRS",
)
def redundancy(props: Props) -> Findings:
    def is_spread(name: Any) -> bool:
        return isinstance(name, str) and name != "" and not name.upper().endswith("LRS")

    spread = Requirement("must keep copies in several zones or regions", is_spread)
    yield from expect(props, "sku.name", spread, "the loss of one zone can lose the models")


@control(
    "azure-storage-double-encryption",
    title="Storage accounts encrypt twice",
    severity="low",
    types=ACCOUNT,
    remedy="set encryption.requireInfrastructureEncryption to true; it cannot be changed later",
    references=("AZU-0061", "AzPolicy:infrastructure-encryption"),
)
def double_encryption(props: Props) -> Findings:
    path = "encryption.requireInfrastructureEncryption"
    yield from expect(props, path, IS_TRUE, "one broken algorithm or key reveals the data")


@control(
    "azure-storage-versioning",
    title="Storage accounts keep versions of blobs",
    severity="low",
    types=BLOB_SERVICE,
    remedy="set isVersioningEnabled to true",
    references=("CIS-Azure5 9.2.3",),
)
def versioning(props: Props) -> Findings:
    yield from expect(props, "isVersioningEnabled", IS_TRUE, "an overwritten model is lost")


@control(
    "azure-storage-deleted-days",
    title="Deleted blobs can be recovered for long enough",
    severity="low",
    types=BLOB_SERVICE,
    remedy="raise deleteRetentionPolicy.days and containerDeleteRetentionPolicy.days",
    settings={"minDays": Setting({"type": "integer", "minimum": 1, "maximum": 365}, default=7)},
)
def deleted_days(props: Props, settings: Mapping[str, Any]) -> Findings:
    for policy in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
        if as_list(look_up(props, policy)):  # azure-storage-soft-delete reports accounts without
            yield from expect(props, f"{policy}.days", at_least(settings["minDays"]), "a deletion is noticed too late")
