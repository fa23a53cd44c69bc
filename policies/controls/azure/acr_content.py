"""Azure Container Registry: firewall, encryption, and retention of images."""

from policies.engine.expectations import IS_TRUE, expect, one_of
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

REGISTRY = ("azure-native:containerregistry:Registry",)
REPLICATION = ("azure-native:containerregistry:Replication",)


@control(
    "azure-acr-network-default",
    title="The firewalls of container registries deny by default",
    severity="medium",
    types=REGISTRY,
    remedy="set networkRuleSet.defaultAction to Deny",
    references=("AzPolicy:unrestricted-network-access",),
)
def network_default(props: Props) -> Findings:
    risk = "the registry is open as soon as public access is enabled"
    yield from expect(props, "networkRuleSet.defaultAction", one_of("Deny"), risk)


@control(
    "azure-acr-kms",
    title="Container registries are encrypted with a customer-managed key",
    severity="medium",
    types=REGISTRY,
    remedy="set encryption.status to enabled, with keyVaultProperties; it cannot be changed later",
    references=("AzPolicy:CMK",),
)
def kms(props: Props) -> Findings:
    yield from expect(props, "encryption.status", one_of("enabled"), "images are not encrypted with your own key")


@control(
    "azure-acr-export",
    title="Images are not exported from container registries",
    severity="medium",
    types=REGISTRY,
    remedy="set policies.exportPolicy.status to disabled",
    references=("AzPolicy:exports-disabled",),
)
def export(props: Props) -> Findings:
    path = "policies.exportPolicy.status"
    yield from expect(props, path, one_of("disabled"), "every image can be copied to another registry at once")


@control(
    "azure-acr-data-endpoints",
    title="Container registries have dedicated data endpoints",
    severity="low",
    types=REGISTRY,
    remedy="set dataEndpointEnabled to true",
    references=("CKV_AZURE_237",),
)
def data_endpoints(props: Props) -> Findings:
    risk = "firewalls have to allow all of Azure's blob storage"
    yield from expect(props, "dataEndpointEnabled", IS_TRUE, risk)


@control(
    "azure-acr-zones",
    title="Container registries and their copies in other regions are in several zones",
    severity="low",
    types=REGISTRY + REPLICATION,
    remedy="set zoneRedundancy to Enabled; it cannot be changed later",
    references=("CKV_AZURE_233",),
)
def zones(props: Props) -> Findings:
    yield from expect(props, "zoneRedundancy", one_of("Enabled"), "the loss of one zone stops every pull")


@control(
    "azure-acr-retention",
    title="Container registries delete images without a tag",
    severity="low",
    types=REGISTRY,
    remedy="set policies.retentionPolicy.status to enabled, with days",
    references=("CKV_AZURE_167",),
)
def retention(props: Props) -> Findings:
    path = "policies.retentionPolicy.status"
    yield from expect(props, path, one_of("enabled"), "replaced images are stored and paid for indefinitely")
