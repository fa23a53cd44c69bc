"""Azure Container Registry: authentication and network access."""

from policies.engine.expectations import IS_FALSE, expect, one_of
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

REGISTRY = ("azure-native:containerregistry:Registry",)


@control(
    "azure-acr-admin-user",
    title="Container registries have no shared administrator account",
    severity="high",
    types=REGISTRY,
    remedy="leave adminUserEnabled unset or set it to false",
    references=("CKV_AZURE_137", "AzPolicy:local-admin-disabled"),
)
def admin_user(props: Props) -> Findings:
    yield from expect(props, "adminUserEnabled", IS_FALSE, "one shared password can push any image", absent_passes=True)


@control(
    "azure-acr-anonymous-pull",
    title="Container registries require authentication for pulls",
    severity="high",
    types=REGISTRY,
    remedy="leave anonymousPullEnabled unset or set it to false",
    references=("CKV_AZURE_138", "AzPolicy:anonymous-auth-disabled"),
)
def anonymous_pull(props: Props) -> Findings:
    yield from expect(props, "anonymousPullEnabled", IS_FALSE, "anyone can pull images", absent_passes=True)


@control(
    "azure-acr-public-network",
    title="Container registries are reached through private endpoints only",
    severity="high",
    types=REGISTRY,
    remedy="set publicNetworkAccess to Disabled",
    references=("CKV_AZURE_139", "AzPolicy:public-network"),
)
def public_network(props: Props) -> Findings:
    yield from expect(props, "publicNetworkAccess", one_of("Disabled"), "the registry is reachable from the Internet")


@control(
    "azure-acr-premium",
    title="Container registries have the tier that private endpoints require",
    severity="medium",
    types=REGISTRY,
    remedy="set sku.name to Premium",
    references=("AzPolicy:SKU-private-link",),
)
def premium(props: Props) -> Findings:
    yield from expect(props, "sku.name", one_of("Premium"), "private endpoints are not available")
