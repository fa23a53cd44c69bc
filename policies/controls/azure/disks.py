"""Azure managed disks: encryption keys, and exports."""

from policies.engine.expectations import IS_TRUE, expect, one_of, pass_if_any
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

ENCRYPTION_SET = ("azure-native:compute:DiskEncryptionSet",)
DISK = ("azure-native:compute:Disk", "azure-native:compute:Snapshot")


@control(
    "azure-disk-key-rotation",
    title="Disks use the latest version of their key",
    severity="medium",
    types=ENCRYPTION_SET,
    remedy="set rotationToLatestKeyVersionEnabled to true",
)
def key_rotation(props: Props) -> Findings:
    path = "rotationToLatestKeyVersionEnabled"
    yield from expect(props, path, IS_TRUE, "disks use old versions of the key, and fail when those expire")


@control(
    "azure-disk-public-network",
    title="Disks and snapshots are not exported over the Internet",
    severity="medium",
    types=DISK,
    remedy="set publicNetworkAccess to Disabled, or networkAccessPolicy to DenyAll or AllowPrivate",
)
def public_network(props: Props) -> Findings:
    risk = "anyone with the URL of an export can read the disk from anywhere"
    limited = expect(props, "networkAccessPolicy", one_of("DenyAll", "AllowPrivate"), risk)
    yield from pass_if_any([limited, expect(props, "publicNetworkAccess", one_of("Disabled"), risk)])
