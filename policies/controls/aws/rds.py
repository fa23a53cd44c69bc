"""Amazon RDS: MLflow's backend store."""

from collections.abc import Mapping
from typing import Any

from kernel.paths import look_up
from kernel.values import UNKNOWN
from policies.engine.control import Setting
from policies.engine.expectations import IS_FALSE, IS_TRUE, at_least, expect
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

INSTANCE = ("aws:rds/instance:Instance",)
CLUSTER = ("aws:rds/cluster:Cluster",)
MEMBER = ("aws:rds/clusterInstance:ClusterInstance",)  # its storage and backups belong to the cluster
SHARDS = ("aws:rds/shardGroup:ShardGroup",)
GLOBAL = ("aws:rds/globalCluster:GlobalCluster",)


@control(
    "aws-rds-public-access",
    title="RDS databases have no public addresses",
    severity="critical",
    types=INSTANCE + CLUSTER + MEMBER + SHARDS,
    remedy="leave publiclyAccessible unset or set it to false",
    references=("CKV_AWS_17", "FSBP RDS.2"),
)
def public_access(props: Props) -> Findings:
    yield from expect(props, "publiclyAccessible", IS_FALSE, "the database has a public address", absent_passes=True)


@control(
    "aws-rds-encryption",
    title="RDS storage is encrypted",
    severity="high",
    types=INSTANCE + CLUSTER + GLOBAL,
    remedy="set storageEncrypted to true; it can't be changed later",
    references=("CKV_AWS_16", "CKV_AWS_96", "FSBP RDS.3"),
)
def encryption(props: Props) -> Findings:
    risk = "disks and snapshots are not encrypted"
    yield from expect(props, "storageEncrypted", IS_TRUE, risk, absent_passes=_is_copy(props))


def _is_copy(props: Props) -> bool:
    """Whether a database inherits its encryption from the one that it is created from.

    Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Overview.Encryption.html
    """
    sources = ("replicateSourceDb", "replicationSourceIdentifier", "sourceDbClusterIdentifier")
    return any(_is_named(look_up(props, source)) for source in sources)


def _is_named(source: Any) -> bool:
    return source is UNKNOWN or (isinstance(source, str) and source != "")


@control(
    "aws-rds-iam-authentication",
    title="Databases accept IAM identities",
    severity="medium",
    types=INSTANCE + CLUSTER,
    remedy="set iamDatabaseAuthenticationEnabled to true",
    references=("CKV_AWS_161", "FSBP RDS.10", "AWS-0176"),
)
def iam_authentication(props: Props) -> Findings:
    path = "iamDatabaseAuthenticationEnabled"
    yield from expect(props, path, IS_TRUE, "workloads need passwords, which do not expire")


@control(
    "aws-rds-backups",
    title="RDS databases keep backups for long enough",
    severity="medium",
    types=INSTANCE + CLUSTER,
    remedy="raise backupRetentionPeriod",
    references=("CKV_AWS_133", "FSBP RDS.11"),
    settings={"minDays": Setting({"type": "integer", "minimum": 1, "maximum": 35}, default=7)},
)
def backups(props: Props, settings: Mapping[str, Any]) -> Findings:
    enough = at_least(settings["minDays"])
    # A replica has the backups of its source; its own are only needed for replicas of the replica.
    if not _is_named(look_up(props, "replicateSourceDb")):
        yield from expect(props, "backupRetentionPeriod", enough, "backups are deleted too early, or never taken")
