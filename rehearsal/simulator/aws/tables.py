"""Amazon DynamoDB."""

from __future__ import annotations

from rehearsal.simulator.aws.naming import auto_named
from rehearsal.simulator.aws.rules import arn_template, get_name
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest
from rehearsal.simulator.core.rules import list_objects, matches, refuse_when
from rehearsal.simulator.core.values import has_unknown

# A table that is restored or imported brings its keys with it.
_TABLE_SOURCES = ("importTable", "restoreBackupArn", "restoreSourceName", "restoreSourceTableArn")


# Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html
def _check_key_attributes(request: ResourceRequest) -> str | None:
    """The declared attributes must be exactly those that keys use; others belong to single items."""
    lists = ("attributes", "globalSecondaryIndexes", "localSecondaryIndexes")
    if any(has_unknown(request.get(path)) for path in ("hashKey", "rangeKey", *lists)):
        return None
    declared = {str(attribute.get("name")) for attribute in list_objects(request, "attributes")}
    indexes = [index for path in lists[1:] for index in list_objects(request, path)]
    keyed = (request.inputs, *indexes)
    keys = {str(each[key]) for each in keyed for key in ("hashKey", "rangeKey") if each.get(key)}
    if keys - declared:
        return (
            "ValidationException: One or more parameter values were invalid: Some index key attributes are not "
            f"defined in AttributeDefinitions. Keys: {sorted(keys)}, AttributeDefinitions: {sorted(declared)}"
        )
    unused = sorted(declared - keys)
    return f"all attributes must be indexed. Unused attributes: {unused}" if unused else None


MODELS = (
    ResourceModel(
        "aws:dynamodb/table:Table",
        id=get_name,
        outputs={"arn": lambda request: request.fill(arn_template("dynamodb", "table/")) + get_name(request)},
        defaults=auto_named(prefix_path=""),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/dynamodb/table.go
        replace_on_changes=("name", "hashKey", "rangeKey", "localSecondaryIndexes"),
        # A new type of a key's attribute is an update that DynamoDB accepts, but that changes nothing:
        # https://github.com/paritysuite/dynamodb-conformance/issues/78 and, of the provider,
        # https://github.com/hashicorp/terraform-provider-aws/issues/22852.
        transitions=UNRESTRICTED,
        rules=(
            matches(
                "name",
                r"[a-zA-Z0-9_.-]{3,255}",
                "ValidationException: TableName must be at least 3 characters long and at most 255 characters long, of "
                "[a-zA-Z0-9_.-]; got {value}",
            ),
            # Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html (KeySchema)
            refuse_when(
                lambda request: all(request.get(path) is None for path in ("hashKey", *_TABLE_SOURCES)),
                "ValidationException: No Hash Key specified in schema.  All Dynamo DB tables must have exactly one "
                "hash key",
            ),
            _check_key_attributes,
        ),
        delete_rules=(
            # Source: https://github.com/ekristen/aws-nuke/issues/451
            refuse_when(
                lambda request: request.get("deletionProtectionEnabled") is True,
                "ValidationException: Resource cannot be deleted as it is currently protected against deletion. "
                "Disable deletion protection first.",
            ),
        ),
    ),
)
