"""Azure Storage: transport, anonymous access, keys, and a way back after deletion."""

from policies.control import Resource, Stack, StackVerdicts, control, each_has, of_type, stack_control
from policies.props import Props, Verdicts, expect, is_false, is_true, one_of

ACCOUNT = ("azure-native:storage:StorageAccount",)
CONTAINER = ("azure-native:storage:BlobContainer",)
BLOB_SERVICE = "azure-native:storage:BlobServiceProperties"


@control(
    "azure-storage-https",
    title="Storage accounts accept HTTPS only",
    severity="critical",
    types=ACCOUNT,
    remedy="leave enableHttpsTrafficOnly unset or set it to true",
    anchors=("CKV_AZURE_3", "AZU-0008", "AzPolicy:secure-transfer"),
)
def https(props: Props) -> Verdicts:
    yield from expect(props, "enableHttpsTrafficOnly", is_true, "plain HTTP is accepted", absent_passes=True)


@control(
    "azure-storage-tls",
    title="Storage accounts ask for TLS 1.2",
    severity="critical",
    types=ACCOUNT,
    remedy="set minimumTlsVersion to TLS1_2",
    anchors=("CKV_AZURE_44", "AZU-0011", "CIS-Azure5 9.3.6"),
)
def tls(props: Props) -> Verdicts:
    yield from expect(props, "minimumTlsVersion", one_of("TLS1_2", "TLS1_3"), "older TLS is accepted")


@control(
    "azure-storage-anonymous-blobs",
    title="Storage accounts forbid anonymous blobs",
    severity="critical",
    types=ACCOUNT,
    remedy="set allowBlobPublicAccess to false",
    anchors=("CKV_AZURE_190", "CKV2_AZURE_47", "CIS-Azure5 9.3.8"),
)
def anonymous_blobs(props: Props) -> Verdicts:
    yield from expect(props, "allowBlobPublicAccess", is_false, "a container may be opened to anyone")


@control(
    "azure-storage-public-container",
    title="Blob containers are not public",
    severity="critical",
    types=CONTAINER,
    remedy="leave publicAccess unset or set it to None",
    anchors=("CKV_AZURE_34", "AZU-0007"),
)
def public_container(props: Props) -> Verdicts:
    yield from expect(props, "publicAccess", one_of("None"), "anyone may read the container", absent_passes=True)


@control(
    "azure-storage-public-network",
    title="Storage accounts are reached through private endpoints only",
    severity="high",
    types=ACCOUNT,
    remedy="set publicNetworkAccess to Disabled",
    anchors=("CKV_AZURE_59", "CIS-Azure5 9.3.2.2"),
)
def public_network(props: Props) -> Verdicts:
    yield from expect(props, "publicNetworkAccess", one_of("Disabled"), "the account answers on the Internet")


@control(
    "azure-storage-shared-key",
    title="Storage accounts refuse account keys",
    severity="high",
    types=ACCOUNT,
    remedy="set allowSharedKeyAccess to false and grant roles to identities",
    anchors=("CKV2_AZURE_40", "CIS-Azure5 9.3.1.3"),
)
def shared_key(props: Props) -> Verdicts:
    yield from expect(props, "allowSharedKeyAccess", is_false, "a leaked account key opens everything")


@stack_control(
    "azure-storage-soft-delete",
    title="Deleted blobs and containers can be brought back",
    severity="medium",
    types=ACCOUNT,
    remedy="declare BlobServiceProperties for the account with both retention policies enabled",
    anchors=("CKV2_AZURE_38", "AZU-0056", "CIS-Azure5 9.2.1", "CIS-Azure5 9.2.2"),
)
def soft_delete(stack: Stack) -> StackVerdicts:
    services = of_type(stack, BLOB_SERVICE)
    missing = "no BlobServiceProperties name this account"
    yield from each_has(of_type(stack, *ACCOUNT), services, "accountName", missing, _retention)


def _retention(service: Resource) -> Verdicts:
    for policy in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
        yield from expect(service.props, f"{policy}.enabled", is_true, "deletion is final")
