"""Amazon RDS: MLflow's backend store."""

from collections.abc import Mapping
from typing import Any

from policies.control import Setting, control
from policies.props import Props, Verdicts, at_least, expect, is_false, is_true

INSTANCE = ("aws:rds/instance:Instance",)
CLUSTER = ("aws:rds/cluster:Cluster",)


@control(
    "aws-rds-public-access",
    title="RDS databases are not on the Internet",
    severity="critical",
    types=INSTANCE + CLUSTER,
    remedy="leave publiclyAccessible unset or set it to false",
    anchors=("CKV_AWS_17", "FSBP RDS.2"),
)
def public_access(props: Props) -> Verdicts:
    yield from expect(props, "publiclyAccessible", is_false, "it has a public address", absent_passes=True)


@control(
    "aws-rds-encryption",
    title="RDS storage is encrypted",
    severity="high",
    types=INSTANCE + CLUSTER,
    remedy="set storageEncrypted to true; it can't be changed later",
    anchors=("CKV_AWS_16", "CKV_AWS_96", "FSBP RDS.3"),
)
def encryption(props: Props) -> Verdicts:
    yield from expect(props, "storageEncrypted", is_true, "disks and snapshots are readable")


@control(
    "aws-rds-backups",
    title="RDS databases keep backups long enough",
    severity="medium",
    types=INSTANCE + CLUSTER,
    remedy="raise backupRetentionPeriod",
    anchors=("CKV_AWS_133", "FSBP RDS.11"),
    settings={"minDays": Setting({"type": "integer", "minimum": 1, "maximum": 35}, default=7)},
)
def backups(props: Props, settings: Mapping[str, Any]) -> Verdicts:
    enough = at_least(settings["minDays"])
    yield from expect(props, "backupRetentionPeriod", enough, "backups are gone too soon, or never made")
