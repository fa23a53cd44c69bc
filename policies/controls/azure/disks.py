"""Azure managed disks: keys that encrypt them."""

from policies.engine.expectations import IS_TRUE, expect
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

ENCRYPTION_SET = ("azure-native:compute:DiskEncryptionSet",)


@control(
    "azure-disk-key-rotation",
    title="Disks follow the rotation of their key",
    severity="medium",
    types=ENCRYPTION_SET,
    remedy="set rotationToLatestKeyVersionEnabled to true",
)
def key_rotation(props: Props) -> Findings:
    path = "rotationToLatestKeyVersionEnabled"
    yield from expect(props, path, IS_TRUE, "disks keep the key's old versions, and stop when they expire")
