"""Azure Container Registry: who may pull, and from where."""

from policies.control import control
from policies.props import Props, Verdicts, expect, is_false, one_of

REGISTRY = ("azure-native:containerregistry:Registry",)


@control(
    "azure-acr-admin-user",
    title="Container registries have no shared administrator account",
    severity="high",
    types=REGISTRY,
    remedy="leave adminUserEnabled unset or set it to false",
    anchors=("CKV_AZURE_137", "AzPolicy:local-admin-disabled"),
)
def admin_user(props: Props) -> Verdicts:
    yield from expect(props, "adminUserEnabled", is_false, "one password may push any image", absent_passes=True)


@control(
    "azure-acr-anonymous-pull",
    title="Container registries ask every reader who they are",
    severity="high",
    types=REGISTRY,
    remedy="leave anonymousPullEnabled unset or set it to false",
    anchors=("CKV_AZURE_138", "AzPolicy:anonymous-auth-disabled"),
)
def anonymous_pull(props: Props) -> Verdicts:
    yield from expect(props, "anonymousPullEnabled", is_false, "anyone may pull images", absent_passes=True)


@control(
    "azure-acr-public-network",
    title="Container registries are reached through private endpoints only",
    severity="high",
    types=REGISTRY,
    remedy="set publicNetworkAccess to Disabled",
    anchors=("CKV_AZURE_139", "AzPolicy:public-network"),
)
def public_network(props: Props) -> Verdicts:
    yield from expect(props, "publicNetworkAccess", one_of("Disabled"), "the registry answers on the Internet")


@control(
    "azure-acr-premium",
    title="Container registries have the tier that private endpoints need",
    severity="medium",
    types=REGISTRY,
    remedy="set sku.name to Premium",
    anchors=("AzPolicy:SKU-private-link",),
)
def premium(props: Props) -> Verdicts:
    yield from expect(props, "sku.name", one_of("Premium"), "below Premium a private endpoint is refused")
