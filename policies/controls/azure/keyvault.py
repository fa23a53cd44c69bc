"""Azure Key Vault: protection from deletion, authorization, network access, and rotation."""

from kernel.paths import each_value
from kernel.values import UNKNOWN
from policies.engine.expectations import IS_TRUE, any_matches, expect, fail_if_all, one_of
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

VAULT = ("azure-native:keyvault:Vault",)
HSM = ("azure-native:keyvault:ManagedHsm",)
KEY = ("azure-native:keyvault:Key",)


@control(
    "azure-keyvault-purge-protection",
    title="Key vaults can't be purged before their retention ends",
    severity="high",
    types=VAULT + HSM,
    remedy="set properties.enablePurgeProtection to true; it can't be undone",
    references=("CKV_AZURE_110", "AZU-0016", "AzPolicy:deletion-protection"),
)
def purge_protection(props: Props) -> Findings:
    yield from expect(props, "properties.enablePurgeProtection", IS_TRUE, "keys can be destroyed immediately")


@control(
    "azure-keyvault-soft-delete",
    title="Deleted key vaults can be recovered",
    severity="high",
    types=VAULT + HSM,
    remedy="leave properties.enableSoftDelete unset or set it to true",
    references=("CKV_AZURE_111", "AzPolicy:soft-delete"),
)
def soft_delete(props: Props) -> Findings:
    path = "properties.enableSoftDelete"
    yield from expect(props, path, IS_TRUE, "deletion is final", absent_passes=True)


@control(
    "azure-keyvault-rbac",
    title="Key vaults authorize access through Azure roles",
    severity="high",
    types=VAULT,
    remedy="set properties.enableRbacAuthorization to true",
    references=("CIS-Azure5 8.3.6", "AzPolicy:RBAC-model"),
)
def rbac(props: Props) -> Findings:
    path = "properties.enableRbacAuthorization"
    yield from expect(props, path, IS_TRUE, "access policies bypass Azure roles")


@control(
    "azure-keyvault-public-network",
    title="Key vaults are reached through private endpoints only",
    severity="high",
    types=VAULT + HSM,
    remedy="set properties.publicNetworkAccess to Disabled",
    references=("CKV_AZURE_189", "AzPolicy:public-network"),
)
def public_network(props: Props) -> Findings:
    path = "properties.publicNetworkAccess"
    yield from expect(props, path, one_of("Disabled"), "the vault is reachable from the Internet")


@control(
    "azure-keyvault-key-rotation",
    title="Keys rotate automatically",
    severity="medium",
    types=KEY,
    remedy="give the key a properties.rotationPolicy with a lifetime action of type rotate",
    references=("CIS-Azure5 8.3.9",),
)
def key_rotation(props: Props) -> Findings:
    path = "properties.rotationPolicy.lifetimeActions"
    kinds = (kind for _, kind in each_value(props, f"{path}[*].action.type"))
    rotates = any_matches(kinds, lambda kind: str(kind).lower() == "rotate")
    problem = "must have a lifetime action that rotates the key, otherwise it is never replaced"
    yield from fail_if_all(path, [UNKNOWN if rotates is UNKNOWN else not rotates], problem)
