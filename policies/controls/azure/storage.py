"""Azure Storage: encrypted transport, anonymous access, account keys, and recovery after deletion."""

from collections.abc import Mapping
from typing import Any

from policies.controls.public_tags import PUBLIC_TAG, has_tag
from policies.engine.control import Setting
from policies.engine.expectations import IS_FALSE, IS_TRUE, expect, one_of
from policies.engine.findings import Findings, Props
from policies.engine.registry import control, stack_control
from policies.engine.stack import Resource, Stack, StackFindings, expect_companion, of_type

ACCOUNT = ("azure-native:storage:StorageAccount",)
CONTAINER = ("azure-native:storage:BlobContainer",)
BLOB_SERVICE = "azure-native:storage:BlobServiceProperties"


@control(
    "azure-storage-https",
    title="Storage accounts accept HTTPS only",
    severity="critical",
    types=ACCOUNT,
    remedy="leave enableHttpsTrafficOnly unset or set it to true",
    references=("CKV_AZURE_3", "AZU-0008", "AzPolicy:secure-transfer"),
)
def https(props: Props) -> Findings:
    yield from expect(props, "enableHttpsTrafficOnly", IS_TRUE, "plain HTTP is accepted", absent_passes=True)


@control(
    "azure-storage-tls",
    title="Storage accounts require TLS 1.2",
    severity="critical",
    types=ACCOUNT,
    remedy="set minimumTlsVersion to TLS1_2",
    references=("CKV_AZURE_44", "AZU-0011", "CIS-Azure5 9.3.6"),
)
def tls(props: Props) -> Findings:
    yield from expect(props, "minimumTlsVersion", one_of("TLS1_2", "TLS1_3"), "outdated versions of TLS are accepted")


@control(
    "azure-storage-anonymous-blobs",
    title="Storage accounts forbid anonymous access to blobs",
    severity="critical",
    types=ACCOUNT,
    remedy="set allowBlobPublicAccess to false",
    references=("CKV_AZURE_190", "CKV2_AZURE_47", "CIS-Azure5 9.3.8"),
    settings={"publicTag": PUBLIC_TAG},
)
def anonymous_blobs(props: Props, settings: Mapping[str, Any]) -> Findings:
    if not has_tag(props, settings["publicTag"]):
        yield from expect(props, "allowBlobPublicAccess", IS_FALSE, "containers can be made public")


@control(
    "azure-storage-public-container",
    title="Blob containers are not public",
    severity="critical",
    types=CONTAINER,
    remedy="leave publicAccess unset or set it to None",
    references=("CKV_AZURE_34", "AZU-0007"),
    settings={"allowed": Setting({"type": "array", "items": {"enum": ["None", "Blob", "Container"]}}, ["None"])},
)
def public_container(props: Props, settings: Mapping[str, Any]) -> Findings:
    # If the account forbids anonymous access, as azure-storage-anonymous-blobs requires, no container is public.
    allowed = one_of(*settings["allowed"])
    yield from expect(props, "publicAccess", allowed, "anyone can read the container", absent_passes=True)


@control(
    "azure-storage-public-network",
    title="Storage accounts are reached through private endpoints only",
    severity="high",
    types=ACCOUNT,
    remedy="set publicNetworkAccess to Disabled",
    references=("CKV_AZURE_59", "CIS-Azure5 9.3.2.2"),
)
def public_network(props: Props) -> Findings:
    yield from expect(props, "publicNetworkAccess", one_of("Disabled"), "the account is reachable from the Internet")


@control(
    "azure-storage-shared-key",
    title="Storage accounts reject account keys",
    severity="high",
    types=ACCOUNT,
    remedy="set allowSharedKeyAccess to false and grant roles to identities",
    references=("CKV2_AZURE_40", "CIS-Azure5 9.3.1.3"),
)
def shared_key(props: Props) -> Findings:
    yield from expect(props, "allowSharedKeyAccess", IS_FALSE, "a leaked account key gives full access")


@stack_control(
    "azure-storage-soft-delete",
    title="Deleted blobs and containers can be recovered",
    severity="medium",
    types=(*ACCOUNT, BLOB_SERVICE),
    remedy="declare BlobServiceProperties for the account with both retention policies enabled",
    references=("CKV2_AZURE_38", "AZU-0056", "CIS-Azure5 9.2.1", "CIS-Azure5 9.2.2"),
)
def soft_delete(stack: Stack) -> StackFindings:
    services = of_type(stack, BLOB_SERVICE)
    missing = "the account must have BlobServiceProperties"
    yield from expect_companion(of_type(stack, *ACCOUNT), services, "accountName", missing, _expect_retention)


def _expect_retention(service: Resource) -> Findings:
    for policy in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
        yield from expect(service.props, f"{policy}.enabled", IS_TRUE, "deletion is final")
