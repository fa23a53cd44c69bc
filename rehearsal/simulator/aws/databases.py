"""Amazon RDS and DynamoDB."""

from __future__ import annotations

import re

from rehearsal.simulator.aws.rules import arn, exists, items, physical, unused, zones
from rehearsal.simulator.core.resource_model import Draft, Model, Rule, matches, within
from rehearsal.simulator.core.values import UNKNOWN

_DATABASE, _SUBNET_GROUP = "aws:rds/instance:Instance", "aws:rds/subnetGroup:SubnetGroup"
_PARAMETER_GROUP = "aws:rds/parameterGroup:ParameterGroup"


def _two_zones(draft: Draft) -> str | None:
    covered = zones(draft, "subnetIds")
    if len(covered) >= 2:
        return None
    return (
        "DBSubnetGroupDoesNotCoverEnoughAZs: The DB subnet group doesn't meet Availability Zone (AZ) coverage "
        f"requirement. Current AZ coverage: {', '.join(sorted(covered))}. Add subnets to cover at least 2 AZs."
    )


def _password(draft: Draft) -> str | None:
    password = draft.get("password", UNKNOWN)
    if password is UNKNOWN or (8 <= len(password) <= 128 and not re.search(r"[/@\" ]|[^ -~]", password)):
        return None
    return (
        "InvalidParameterValue: The parameter MasterUserPassword is not a valid password. Only printable ASCII "
        "characters besides '/', '@', '\"', ' ' may be used."
    )


def _storage_fits(draft: Draft) -> str | None:
    size = draft.get("allocatedStorage", UNKNOWN)
    if draft.get("storageType") != "gp3" or size is UNKNOWN or 20 <= size <= 65536:
        return None
    return f"InvalidParameterCombination: Invalid storage size for engine name postgres and storage type gp3: {size}"


def _family_fits(draft: Draft) -> str | None:
    version = str(draft.get("engineVersion", "")).partition(".")[0]
    for group in draft.world.all(_PARAMETER_GROUP):
        family = group.inputs.get("family")
        if group.id == draft.get("parameterGroupName") and family != f"{draft.get('engine')}{version}":
            return (
                f"InvalidParameterCombination: The parameter group {group.id} with DBParameterGroupFamily {family} "
                "can't be used for this instance. Please use a parameter group with DBParameterGroupFamily "
                f"{draft.get('engine')}{version}"
            )
    return None


def _protected(path: str, words: str) -> Rule:
    return lambda draft: words if draft.get(path) is True else None


def _has_final_snapshot(draft: Draft) -> str | None:
    if draft.get("skipFinalSnapshot") or draft.get("finalSnapshotIdentifier"):
        return None
    return "final_snapshot_identifier is required when skip_final_snapshot is false"


def _address(draft: Draft) -> str:
    # The middle part stands for account and region: it is the same for all of an account's databases.
    return f"{draft.get('identifier')}.c9akciq32rgx.{draft.facts['region']}.rds.amazonaws.com"


def _keys_are_declared(draft: Draft) -> str | None:
    """Every key has a type, and nothing else has: DynamoDB knows the other attributes by item."""
    attributes = draft.get("attributes", [])
    if attributes is UNKNOWN:
        return None
    declared = {attribute.get("name") for attribute in attributes}
    keys = {draft.get("hashKey"), draft.get("rangeKey")} - {None}
    indexes = items(draft.get("globalSecondaryIndexes")) + items(draft.get("localSecondaryIndexes"))
    keys |= {index[key] for index in indexes for key in ("hashKey", "rangeKey") if index.get(key)}
    if UNKNOWN in keys | declared:
        return None
    if keys - declared:
        return (
            "ValidationException: One or more parameter values were invalid: Some index key attributes are not "
            f"defined in AttributeDefinitions. Keys: {sorted(keys)}, AttributeDefinitions: {sorted(declared)}"
        )
    unused_ones = sorted(declared - keys)
    return f"all attributes must be indexed. Unused attributes: {unused_ones}" if unused_ones else None


MODELS = (
    Model(
        _SUBNET_GROUP,
        id=physical,
        outputs={"arn": lambda draft: draft.fill(arn("rds", "subgrp:")) + physical(draft)},
        required=("name", "subnetIds"),
        replaces=("name",),
        rules=(
            matches(
                "name",
                r"(?!default$)[a-z0-9._ -]{1,255}",
                "only lowercase alphanumeric characters, hyphens, underscores, periods, and spaces allowed in "
                '"name", and not "default"; got {value}',
            ),
        ),
        live=(_two_zones,),
        keeps=(
            unused(
                _DATABASE,
                "dbSubnetGroupName",
                "InvalidDBSubnetGroupStateFault: Cannot delete the subnet group '{value}' because at least one "
                "database instance: {users} is still using it.",
            ),
        ),
    ),
    Model(
        _PARAMETER_GROUP,
        id=physical,
        outputs={"arn": lambda draft: draft.fill(arn("rds", "pg:")) + physical(draft)},
        required=("name", "family"),
        replaces=("name", "family", "description"),
        rules=(matches("name", r"[a-z](-?[a-z0-9])*", 'first character of "name" must be a letter, got {value}'),),
        keeps=(
            unused(
                _DATABASE,
                "parameterGroupName",
                "InvalidDBParameterGroupState: One or more database instances are still members of this parameter "
                "group {value}, so the group cannot be deleted",
            ),
        ),
    ),
    Model(
        _DATABASE,
        id=lambda draft: str(draft.get("identifier")),
        outputs={
            "address": _address,
            "arn": lambda draft: draft.fill(arn("rds", "db:{identifier}")),
            "endpoint": lambda draft: f"{_address(draft)}:{draft.get('port', 5432)}",
            "resourceId": lambda draft: f"db-{draft.hex(26).upper()}",
            "status": lambda _: "available",
        },
        required=("identifier", "instanceClass", "engine", "allocatedStorage"),
        replaces=("identifier", "engine", "dbName", "username", "storageEncrypted", "kmsKeyId", "dbSubnetGroupName"),
        rules=(
            matches(
                "identifier",
                r"[a-z](-?[a-z0-9]){0,62}",
                "InvalidParameterValue: The parameter DBInstanceIdentifier is not a valid identifier. Identifiers must "
                "begin with a letter; must contain only ASCII letters, digits, and hyphens; and must not end with a "
                "hyphen or contain two consecutive hyphens. Got {value}",
            ),
            matches("instanceClass", r"db\.[a-z0-9-]+\.[a-z0-9]+", "Invalid DB Instance class: {value}"),
            within(
                "backupRetentionPeriod",
                0,
                35,
                "InvalidParameterValue: Invalid backup retention period: {value}. Must be between 0 and 35.",
            ),
            _storage_fits,
            lambda draft: (
                "InvalidParameterValue: MasterUsername admin cannot be used as it is a reserved word used by the engine"
                if (draft.get("engine"), draft.get("username")) == ("postgres", "admin")
                else None
            ),
            _password,
        ),
        live=(
            exists(
                "dbSubnetGroupName",
                _SUBNET_GROUP,
                "DBSubnetGroupNotFoundFault: DB subnet group '{value}' does not exist.",
            ),
            exists(
                "parameterGroupName", _PARAMETER_GROUP, "DBParameterGroupNotFound: DBParameterGroup not found: {value}"
            ),
            _family_fits,
        ),
        keeps=(
            _protected(
                "deletionProtection",
                "InvalidParameterCombination: Cannot delete protected DB Instance, please disable deletion protection "
                "and try again.",
            ),
            _has_final_snapshot,
        ),
    ),
    Model(
        "aws:dynamodb/table:Table",
        id=physical,
        outputs={"arn": lambda draft: draft.fill(arn("dynamodb", "table/")) + physical(draft)},
        required=("name", "hashKey"),
        replaces=("name", "hashKey", "rangeKey"),
        rules=(
            matches(
                "name",
                r"[a-zA-Z0-9_.-]{3,255}",
                "ValidationException: TableName must be at least 3 characters long and at most 255 characters long, of "
                "[a-zA-Z0-9_.-]; got {value}",
            ),
            _keys_are_declared,
        ),
        keeps=(
            _protected(
                "deletionProtectionEnabled",
                "ValidationException: Resource cannot be deleted as it is currently protected against deletion. "
                "Disable deletion protection first.",
            ),
        ),
    ),
)
