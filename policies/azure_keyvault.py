"""Azure Key Vault: nothing vanishes for good, and roles decide who reads."""

from policies.control import control
from policies.props import Props, Verdicts, expect, expect_set, is_true, one_of

VAULT = ("azure-native:keyvault:Vault",)
KEY = ("azure-native:keyvault:Key",)


@control(
    "azure-keyvault-purge-protection",
    title="Key vaults can't be purged before their retention ends",
    severity="high",
    types=VAULT,
    remedy="set properties.enablePurgeProtection to true; it can't be undone",
    anchors=("CKV_AZURE_110", "AZU-0016", "AzPolicy:deletion-protection"),
)
def purge_protection(props: Props) -> Verdicts:
    yield from expect(props, "properties.enablePurgeProtection", is_true, "keys can be destroyed at once")


@control(
    "azure-keyvault-soft-delete",
    title="Deleted key vaults can be recovered",
    severity="high",
    types=VAULT,
    remedy="leave properties.enableSoftDelete unset or set it to true",
    anchors=("CKV_AZURE_111", "AzPolicy:soft-delete"),
)
def soft_delete(props: Props) -> Verdicts:
    path = "properties.enableSoftDelete"
    yield from expect(props, path, is_true, "deletion is final", absent_passes=True)


@control(
    "azure-keyvault-rbac",
    title="Key vaults are governed by roles",
    severity="high",
    types=VAULT,
    remedy="set properties.enableRbacAuthorization to true",
    anchors=("CIS-Azure5 8.3.6", "AzPolicy:RBAC-model"),
)
def rbac(props: Props) -> Verdicts:
    path = "properties.enableRbacAuthorization"
    yield from expect(props, path, is_true, "access policies bypass Azure's roles")


@control(
    "azure-keyvault-public-network",
    title="Key vaults are reached through private endpoints only",
    severity="high",
    types=VAULT,
    remedy="set properties.publicNetworkAccess to Disabled",
    anchors=("CKV_AZURE_189", "AzPolicy:public-network"),
)
def public_network(props: Props) -> Verdicts:
    path = "properties.publicNetworkAccess"
    yield from expect(props, path, one_of("Disabled"), "the vault answers on the Internet")


@control(
    "azure-keyvault-key-rotation",
    title="Keys rotate by themselves",
    severity="medium",
    types=KEY,
    remedy="give the key a properties.rotationPolicy",
    anchors=("CIS-Azure5 8.3.9",),
)
def key_rotation(props: Props) -> Verdicts:
    yield from expect_set(props, "properties.rotationPolicy", "the key is used until someone remembers it")
