"""Amazon RDS: protection from loss, failure of a zone, patches, logs, and transport encryption."""

from collections.abc import Mapping
from typing import Any

from kernel.paths import look_up
from kernel.values import UNKNOWN, Truth, any_holds, as_list
from policies.controls.aws.customer_keys import expect_customer_key
from policies.controls.tags import EXEMPT, is_exempt
from policies.engine.expectations import (
    IS_FALSE,
    IS_TRUE,
    Requirement,
    any_matches,
    expect,
    fail_if_all,
)
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control

INSTANCE = ("aws:rds/instance:Instance",)
CLUSTER = ("aws:rds/cluster:Cluster",)
MEMBER = ("aws:rds/clusterInstance:ClusterInstance",)
GLOBAL = ("aws:rds/globalCluster:GlobalCluster",)
POSTGRES = ("postgres", "aurora-postgresql")  # prefixes of the parameter group families
PARAMETERS = (
    "aws:rds/parameterGroup:ParameterGroup",
    "aws:rds/clusterParameterGroup:ClusterParameterGroup",
)


@control(
    "aws-rds-deletion-protection",
    title="RDS databases are protected from deletion",
    severity="medium",
    types=INSTANCE + CLUSTER + GLOBAL,
    remedy="set deletionProtection to true",
    references=("CKV_AWS_293", "FSBP RDS.7", "FSBP RDS.8", "AWS-0177"),
    settings={"exemptEnvironments": EXEMPT},
)
def deletion_protection(props: Props, settings: Mapping[str, Any]) -> Findings:
    if is_exempt(props, settings["exemptEnvironments"]):
        return
    yield from expect(props, "deletionProtection", IS_TRUE, "one wrong command deletes the database")


@control(
    "aws-rds-final-snapshot",
    title="RDS creates a final snapshot when a database is deleted",
    severity="low",
    types=INSTANCE + CLUSTER,
    remedy="leave skipFinalSnapshot unset or set it to false, with finalSnapshotIdentifier",
    settings={"exemptEnvironments": EXEMPT},
)
def final_snapshot(props: Props, settings: Mapping[str, Any]) -> Findings:
    if is_exempt(props, settings["exemptEnvironments"]):
        return
    yield from expect(props, "skipFinalSnapshot", IS_FALSE, "a deletion cannot be undone", absent_passes=True)


@control(
    "aws-rds-kms",
    title="RDS databases are encrypted with a customer-managed key",
    severity="medium",
    types=INSTANCE + CLUSTER,
    remedy="set kmsKeyId; it cannot be changed later",
)
def kms(props: Props) -> Findings:
    yield from expect_customer_key(props, "kmsKeyId", "disks and snapshots are not encrypted with a key of the account")


@control(
    "aws-rds-multi-az",
    title="RDS databases have a standby in another zone",
    severity="low",
    types=INSTANCE,
    remedy="set multiAz to true",
    references=("CKV_AWS_157", "FSBP RDS.5"),
    settings={"exemptEnvironments": EXEMPT},
)
def multi_az(props: Props, settings: Mapping[str, Any]) -> Findings:
    if is_exempt(props, settings["exemptEnvironments"]):
        return
    yield from expect(props, "multiAz", IS_TRUE, "the loss of one zone stops the database")


@control(
    "aws-rds-storage-autoscaling",
    title="RDS databases extend their disk before it is full",
    severity="low",
    types=INSTANCE,
    remedy="set maxAllocatedStorage to more than allocatedStorage",
)
def storage_autoscaling(props: Props) -> Findings:
    path, size = "maxAllocatedStorage", look_up(props, "allocatedStorage", 0)
    if size is UNKNOWN:
        yield Undecided("allocatedStorage")
        return
    more = Requirement("must be more than allocatedStorage", lambda most: _exceeds(most, size))
    yield from expect(props, path, more, "a full disk stops the database")


def _exceeds(value: Any, other: Any) -> bool:
    return isinstance(value, int | float) and isinstance(other, int | float) and value > other


@control(
    "aws-rds-minor-upgrades",
    title="RDS patches databases automatically",
    severity="medium",
    types=INSTANCE + CLUSTER + MEMBER,
    remedy="leave autoMinorVersionUpgrade unset or set it to true",
    references=("FSBP RDS.13",),
)
def minor_upgrades(props: Props) -> Findings:
    path = "autoMinorVersionUpgrade"
    yield from expect(props, path, IS_TRUE, "known vulnerabilities are not fixed", absent_passes=True)


@control(
    "aws-rds-maintenance-window",
    title="RDS databases are maintained in a window that their owner chose",
    severity="low",
    types=INSTANCE,
    remedy="set maintenanceWindow, and backupWindow to a time outside of it",
)
def maintenance_window(props: Props) -> Findings:
    chosen = Requirement("must be a window of a week", lambda value: isinstance(value, str) and "-" in value)
    yield from expect(props, "maintenanceWindow", chosen, "the database may restart at a random time")


@control(
    "aws-rds-log-exports",
    title="RDS databases send their logs to CloudWatch",
    severity="medium",
    types=INSTANCE + CLUSTER,
    remedy="list the engine's log types in enabledCloudwatchLogsExports",
    references=("CKV_AWS_129",),
)
def log_exports(props: Props) -> Findings:
    def names_logs(value: Any) -> bool:
        return any(each is UNKNOWN or (isinstance(each, str) and each != "") for each in as_list(value))

    path = "enabledCloudwatchLogsExports"
    some = Requirement("must list log types", names_logs)
    yield from expect(props, path, some, "logs of connections and errors are lost with the database")


@control(
    "aws-rds-snapshot-tags",
    title="Snapshots of RDS databases have the database's tags",
    severity="low",
    types=INSTANCE + CLUSTER,
    remedy="set copyTagsToSnapshot to true",
    references=("CKV2_AWS_60", "FSBP RDS.16", "FSBP RDS.17"),
)
def snapshot_tags(props: Props) -> Findings:
    yield from expect(props, "copyTagsToSnapshot", IS_TRUE, "the owner of the snapshots is not known")


@control(
    "aws-rds-insights-kms",
    title="Performance Insights is encrypted with a customer-managed key",
    severity="low",
    types=INSTANCE + CLUSTER + MEMBER,
    remedy="set performanceInsightsKmsKeyId; it cannot be changed later",
    references=("CKV_AWS_354", "AWS-0078"),
)
def insights_kms(props: Props) -> Findings:
    enabled = look_up(props, "performanceInsightsEnabled")
    if enabled is UNKNOWN:
        yield Undecided("performanceInsightsEnabled")
    elif enabled is True:
        yield from expect_customer_key(
            props, "performanceInsightsKmsKeyId", "the text of queries is not encrypted with a key of the account"
        )


@control(
    "aws-rds-tls",
    title="PostgreSQL databases require TLS",
    severity="high",
    types=PARAMETERS,
    remedy="set the parameter rds.force_ssl to 1",
    references=("FSBP RDS.38",),
)
def tls(props: Props) -> Findings:
    family, parameters = look_up(props, "family"), as_list(look_up(props, "parameters"))
    settings = [each for each in parameters if look_up(each, "name") in ("rds.force_ssl", UNKNOWN)]
    is_postgres = any_matches([family], lambda name: str(name).startswith(POSTGRES))
    # Since version 15, RDS without Aurora rejects connections without TLS if the parameter is not set. Source:
    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/ssl-certificate-rotation-aurora-postgresql.html
    unforced = any_holds(map(_leaves_tls_open, settings)) if settings else any_matches([family], _defaults_to_no_tls)
    problem = "must set rds.force_ssl to 1, otherwise clients can connect without encryption"
    yield from fail_if_all("parameters", [is_postgres, unforced], problem)


def _leaves_tls_open(parameter: Any) -> Truth:
    name, value = look_up(parameter, "name"), look_up(parameter, "value")
    return UNKNOWN if UNKNOWN in (name, value) else str(value) not in ("1", "1.0")


def _defaults_to_no_tls(family: Any) -> bool:
    version = str(family).removeprefix("postgres")
    return not version.isdigit() or int(version) < 15
