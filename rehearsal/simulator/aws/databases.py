"""Amazon RDS."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kernel.support_calendars import RDS_POSTGRESQL
from kernel.values import UNKNOWN
from rehearsal.simulator.aws.database_storage import (
    check_maximum,
    check_performance,
    check_storage_size,
    is_grown,
    require_striped_iops,
)
from rehearsal.simulator.aws.maintenance import WINDOW_RULES
from rehearsal.simulator.aws.naming import auto_named
from rehearsal.simulator.aws.remains import FINAL_SNAPSHOT
from rehearsal.simulator.aws.rules import arn_template, get_availability_zones, get_name
from rehearsal.simulator.core.calendar import note_support, refuse_unsupported
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest
from rehearsal.simulator.core.rules import (
    in_range,
    matches,
    refuse_when,
    refuse_while_used,
    require_existing,
    require_unique,
    unless_unchanged,
)
from rehearsal.simulator.core.transitions import compare_versions, get_change, only_grows, parse_version

_DATABASE, _SUBNET_GROUP = "aws:rds/instance:Instance", "aws:rds/subnetGroup:SubnetGroup"
_PARAMETER_GROUP = "aws:rds/parameterGroup:ParameterGroup"


def _accepts_extended_support(request: ResourceRequest) -> bool:
    """Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/extended-support.html (it is the default)"""
    return bool(request.get("engineLifecycleSupport") != "open-source-rds-extended-support-disabled")


# Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBSubnetGroup.html
def _require_two_zones(request: ResourceRequest) -> str | None:
    covered = get_availability_zones(request, "subnetIds")
    if len(covered) >= 2:
        return None
    return (
        "DBSubnetGroupDoesNotCoverEnoughAZs: The DB subnet group doesn't meet Availability Zone (AZ) coverage "
        f"requirement. Current AZ coverage: {', '.join(sorted(covered))}. Add subnets to cover at least 2 AZs."
    )


# Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html
def _check_password(request: ResourceRequest) -> str | None:
    password = request.get("password", UNKNOWN)
    if password is UNKNOWN or (8 <= len(password) <= 128 and not re.search(r"[/@\" ]|[^ -~]", password)):
        return None
    return (
        "InvalidParameterValue: The parameter MasterUserPassword is not a valid password. Only printable ASCII "
        "characters besides '/', '@', '\"', ' ' may be used."
    )


def _require_new_database(request: ResourceRequest) -> str | None:
    """The inputs that a new database needs, not created from another one or a snapshot. The message is the provider's.

    Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/rds/instance.go
    """
    sources = ("replicateSourceDb", "restoreToPointInTime", "s3Import", "snapshotIdentifier")
    if any(request.get(source) is not None for source in sources):
        return None
    needed = {"allocated_storage": "allocatedStorage", "engine": "engine", "username": "username"}
    missing = [name for name, path in needed.items() if request.get(path) is None]
    return "; ".join(f'"{name}": required field is not set' for name in missing) or None


def _check_engine_change(request: ResourceRequest) -> str | None:
    """Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_UpgradeDBInstance.Upgrading.html"""
    change = get_change(request, "engineVersion")
    if change is None or None in change:
        return None
    old, new = change
    if compare_versions(old, new) < 0:
        return f"InvalidParameterCombination: Cannot upgrade {request.get('engine')} from {old} to {new}"
    is_major = parse_version(old)[:1] != parse_version(new)[:1]
    if is_major and request.get("allowMajorVersionUpgrade") in (None, False):
        return (
            "InvalidParameterCombination: The AllowMajorVersionUpgrade flag must be present when upgrading to a new "
            f"major version (from {old} to {new})."
        )
    return None


def _refuse_move_in_network(request: ResourceRequest) -> str | None:
    """A database can only move to a subnet group in another network.

    Source: https://github.com/hashicorp/terraform-provider-aws/issues/512
    """
    change = get_change(request, "dbSubnetGroupName")
    groups = {group.id: group for group in request.state.all(_SUBNET_GROUP)}
    networks = [_find_network(request, groups[name].inputs["subnetIds"]) for name in change or () if name in groups]
    if change is None or len(networks) < 2 or networks[0] != networks[1]:
        return None
    return (
        f"InvalidVPCNetworkStateFault: You cannot move DB instance {request.id} to subnet group {change[1]}. The "
        "specified DB subnet group and DB instance are in the same VPC. Choose a DB subnet group in different VPC than "
        "the specified DB instance and try again."
    )


# Source: https://github.com/hashicorp/terraform-provider-aws/issues/27459
def _refuse_other_network(request: ResourceRequest) -> str | None:
    change = get_change(request, "subnetIds")
    if change is None:
        return None
    old, new = (_find_network(request, ids) for ids in change)
    if None in (old, new) or old == new:
        return None
    return (
        f"InvalidParameterValue: The new Subnets are not in the same Vpc as the existing subnet group ({old} and {new})"
    )


def _find_network(request: ResourceRequest, subnets: Iterable[str]) -> str | None:
    """The VPC of some subnets; None if none of them exists any more."""
    found = (request.state.find(id_) for id_ in subnets)
    return next((str(subnet.inputs["vpcId"]) for subnet in found if subnet), None)


def _check_parameter_family(request: ResourceRequest) -> str | None:
    """Sources: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBInstance.html (the same family);
    of the message: https://github.com/cloud-gov/aws-broker/issues/291
    """
    version = str(request.get("engineVersion", "")).partition(".")[0]
    for group in request.state.all(_PARAMETER_GROUP):
        family = group.inputs.get("family")
        if group.id == request.get("parameterGroupName") and family != f"{request.get('engine')}{version}":
            return (
                f"InvalidParameterCombination: The parameter group {group.id} with DBParameterGroupFamily {family} "
                "can't be used for this instance. Use a parameter group with DBParameterGroupFamily "
                f"{request.get('engine')}{version}."
            )
    return None


def _build_address(request: ResourceRequest) -> str:
    # The middle part identifies account and region: it is the same for all databases of an account.
    return f"{request.get('identifier')}.c9akciq32rgx.{request.account['region']}.rds.amazonaws.com"


def _require_backups(request: ResourceRequest) -> str | None:
    """Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/AutomatedBackups.Replicating.Enable.html"""
    source = request.state.find(str(request.get("sourceDbInstanceArn")))
    if request.get("sourceDbInstanceArn", UNKNOWN) is UNKNOWN:
        return None
    if source is None or source.type != _DATABASE:
        return f"DBInstanceNotFound: DBInstance {request.get('sourceDbInstanceArn')} not found."
    if source.inputs.get("region") == request.get("region"):
        return "InvalidParameterValue: the source and the destination of automated backups are in one region."
    if not source.inputs.get("backupRetentionPeriod"):
        return "InvalidDBInstanceState: Automated backups are not enabled for the source DB instance."
    if source.inputs.get("storageEncrypted") and request.get("kmsKeyId") is None:
        return "InvalidParameterValue: KmsKeyId is required for the backups of an encrypted DB instance."
    return None


MODELS = (
    ResourceModel(
        "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication",
        id=lambda request: request.fill(arn_template("rds", "auto-backup:ab-")) + request.hex(8),
        required=("sourceDbInstanceArn",),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/rds/instance_automated_backups_replication.go
        replace_on_changes=("kmsKeyId", "retentionPeriod", "sourceDbInstanceArn"),
        transitions=UNRESTRICTED,
        rules=(
            # The same operation's input in CloudFormation (AutomaticBackupReplicationRetentionPeriod) has this maximum.
            # Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-rds-dbinstance.html
            in_range("retentionPeriod", 1, 35, "expected retention_period to be in the range (1 - 35), got {value}"),
        ),
        state_rules=(_require_backups,),
    ),
    ResourceModel(
        _SUBNET_GROUP,
        id=get_name,
        outputs={"arn": lambda request: request.fill(arn_template("rds", "subgrp:")) + get_name(request)},
        required=("subnetIds",),
        defaults=auto_named(),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/rds/subnet_group.go
        replace_on_changes=("name",),
        transitions=(_refuse_other_network,),
        rules=(
            # Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBSubnetGroup.html
            matches(
                "name",
                r"(?!default$)[a-z0-9._ -]{1,255}",
                "only lowercase alphanumeric characters, hyphens, underscores, periods, and spaces allowed in "
                '"name", and not "default"; got {value}',
            ),
        ),
        state_rules=(_require_two_zones,),
        delete_rules=(
            # Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBSubnetGroup.html
            refuse_while_used(
                _DATABASE,
                "dbSubnetGroupName",
                "InvalidDBSubnetGroupStateFault: Cannot delete the subnet group '{value}' because at least one "
                "database instance: {users} is still using it.",
            ),
        ),
    ),
    ResourceModel(
        _PARAMETER_GROUP,
        id=get_name,
        outputs={"arn": lambda request: request.fill(arn_template("rds", "pg:")) + get_name(request)},
        required=("family",),
        defaults=auto_named(),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/rds/parameter_group.go
        replace_on_changes=("name", "family", "description"),
        transitions=UNRESTRICTED,
        # Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBParameterGroup.html
        rules=(matches("name", r"[a-z](-?[a-z0-9])*", 'first character of "name" must be a letter, got {value}'),),
        delete_rules=(
            # Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBParameterGroup.html
            refuse_while_used(
                _DATABASE,
                "parameterGroupName",
                "InvalidDBParameterGroupState: One or more database instances are still members of this parameter "
                "group {value}, so the group cannot be deleted",
            ),
        ),
    ),
    ResourceModel(
        _DATABASE,
        # The provider's ID is the resource ID. Here it is the instance's first name, which it keeps when it is renamed.
        id=lambda request: str(request.get("identifier")),
        name_path="identifier",
        outputs={
            "address": _build_address,
            "arn": lambda request: request.fill(arn_template("rds", "db:{identifier}")),
            "endpoint": lambda request: f"{_build_address(request)}:{request.get('port', 5432)}",
            "resourceId": lambda request: f"db-{request.hex(26).upper()}",
            "status": lambda _: "available",
        },
        required=("instanceClass",),
        tombstone=FINAL_SNAPSHOT,
        defaults=auto_named("identifier", separator="", prefix_path="identifierPrefix"),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/rds/instance.go
        replace_on_changes=("engine", "dbName", "username", "storageEncrypted", "kmsKeyId"),
        suppressed_if={"allocatedStorage": is_grown},
        transitions=(
            # Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBInstance.html
            only_grows(
                "allocatedStorage",
                "InvalidParameterCombination: Requested storage size ({new}) cannot be less than the current storage "
                "size ({old}).",
            ),
            require_striped_iops,
            check_maximum,
            _check_engine_change,
            _refuse_move_in_network,
        ),
        rules=(
            # Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html
            matches(
                "identifier",
                r"[a-z](-?[a-z0-9]){0,62}",
                "InvalidParameterValue: The parameter DBInstanceIdentifier is not a valid identifier. Identifiers must "
                "begin with a letter; must contain only ASCII letters, digits, and hyphens; and must not end with a "
                "hyphen or contain two consecutive hyphens. Got {value}",
            ),
            # Source: https://github.com/ryanmurakami/trash-panda-buffet/issues/5
            matches(
                "instanceClass",
                r"db\.[a-z0-9-]+\.[a-z0-9]+",
                "InvalidParameterValue: Invalid DB Instance class: {value}",
            ),
            # Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html
            in_range(
                "backupRetentionPeriod",
                0,
                35,
                "InvalidParameterValue: Invalid backup retention period: {value}. Must be between 0 and 35.",
            ),
            unless_unchanged(
                "engineVersion",
                refuse_unsupported(
                    "engineVersion",
                    RDS_POSTGRESQL,
                    "InvalidParameterCombination: Cannot find version {value} for postgres",
                    _accepts_extended_support,
                ),
            ),
            _require_new_database,
            *WINDOW_RULES,
            check_storage_size,
            check_maximum,
            check_performance,
            # Source: https://github.com/aws/aws-cdk/pull/10597; of the message: https://github.com/aws/aws-cdk/pull/5125
            refuse_when(
                lambda request: (request.get("engine"), request.get("username")) == ("postgres", "admin"),
                "InvalidParameterValue: MasterUsername admin cannot be used as it is a reserved word used by the "
                "engine",
            ),
            _check_password,
        ),
        state_rules=(
            # Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBInstance.html
            require_unique(["identifier", "region"], "DBInstanceAlreadyExists: DB instance {0} already exists"),
            # Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html
            require_existing(
                "dbSubnetGroupName",
                _SUBNET_GROUP,
                "DBSubnetGroupNotFoundFault: DB subnet group '{value}' does not exist.",
            ),
            # Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html
            require_existing(
                "parameterGroupName", _PARAMETER_GROUP, "DBParameterGroupNotFound: DBParameterGroup not found: {value}"
            ),
            _check_parameter_family,
        ),
        delete_rules=(
            # Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html
            refuse_when(
                lambda request: request.get("deletionProtection") is True,
                "InvalidParameterCombination: Cannot delete protected DB Instance, please disable deletion protection "
                "and try again.",
            ),
            # Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBInstance.html
            refuse_when(
                lambda request: not (request.get("skipFinalSnapshot") or request.get("finalSnapshotIdentifier")),
                "final_snapshot_identifier is required when skip_final_snapshot is false",
            ),
        ),
        notes=(note_support("engineVersion", RDS_POSTGRESQL, "PostgreSQL"),),
    ),
)
