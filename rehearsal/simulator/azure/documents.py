"""Cosmos DB."""

from __future__ import annotations

import re
from typing import Any

from kernel.values import UNKNOWN
from rehearsal.simulator.azure.arm import arm_model, find_in_group
from rehearsal.simulator.azure.identity import GUID, require_principal
from rehearsal.simulator.core.one_writer import OneWriter
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceRequest, Transition
from rehearsal.simulator.core.rules import list_objects, matches, refuse_when, require_any
from rehearsal.simulator.core.transitions import refuse_change, refuse_change_when, stays

_COSMOS = "Microsoft.DocumentDB/databaseAccounts/{accountName}"


def _is_serverless(request: ResourceRequest) -> bool:
    return _has_serverless(list(list_objects(request, "capabilities")))


def _has_serverless(capabilities: Any) -> bool:
    return any(item.get("name") == "EnableServerless" for item in capabilities or ())


# Source: https://learn.microsoft.com/azure/cosmos-db/serverless
def _refuse_serverless_throughput(request: ResourceRequest) -> str | None:
    account = find_in_group(request, _COSMOS)
    if account is None or request.get("options") in (None, {}):
        return None
    if not any(item["name"] == "EnableServerless" for item in account.inputs.get("capabilities", ())):
        return None
    return "BadRequest: Setting offer throughput or autopilot on container is not supported for serverless accounts."


# Source: https://learn.microsoft.com/azure/cosmos-db/provision-throughput-autoscale
def _has_invalid_throughput(request: ResourceRequest) -> bool:
    maximum = request.get("options.autoscaleSettings.maxThroughput", UNKNOWN)
    return maximum is not UNKNOWN and (maximum < 1000 or maximum % 1000 != 0)


# Source: https://learn.microsoft.com/azure/cosmos-db/hierarchical-partition-keys
def _check_partition_key(request: ResourceRequest) -> str | None:
    paths, kind = request.get("resource.partitionKey.paths"), request.get("resource.partitionKey.kind", "Hash")
    if not isinstance(paths, list) or UNKNOWN in paths or kind is UNKNOWN:
        return None
    if not all(path.startswith("/") for path in paths):
        return f"BadRequest: The partition key component definition path '{paths[0]}' could not be accepted."
    max_paths = {"Hash": 1, "MultiHash": 3}.get(kind, 0)
    if len(paths) > max_paths:
        return f"BadRequest: A partition key of kind {kind} has at most {max_paths} paths, got {len(paths)}."
    return None


def _describe_partition_key(key: Any) -> tuple[Any, ...]:
    return (key or {}).get("paths"), (key or {}).get("kind", "Hash")


# Source: https://github.com/pulumi/pulumi-azure-native/issues/2816
_PRINCIPAL_NOT_FOUND = (
    "BadRequest: The provided principal ID [{principal}] was not found in the AAD tenant(s) [{tenant}] which are "
    "associated with the customer's subscription."
)
# The provider's table of properties that replace a resource has these under the module DocumentDB. Since the provider's
# version 3 the module is CosmosDB, so it does not find them: it updates the assignment, and Azure refuses. Sources:
# https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/replacement.go (the table)
# https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/properties.go (the look-up)
# https://github.com/pulumi/pulumi-azure-native/issues/3701 (the message)
# https://github.com/pulumi/pulumi-azure-native/issues/2253 (the scope; its message follows the principal's)
_REFUSE_OTHER_ASSIGNEE: tuple[Transition, ...] = tuple(
    refuse_change(
        path,
        f"BadRequest: Updating SQL Role Assignment {name} is not permitted. You may only update the associated Role "
        "Definition.",
    )
    for path, name in (("principalId", "Principal ID"), ("scope", "Scope"))
)
_BUILT_IN_ROLE = re.compile(r".*/sqlRoleDefinitions/00000000-0000-0000-0000-00000000000[12]")


def _has_malformed_role(request: ResourceRequest) -> bool:
    role = request.get("roleDefinitionId")
    return isinstance(role, str) and not GUID.fullmatch(role.rpartition("/sqlRoleDefinitions/")[2].lower())


def _note_role(request: ResourceRequest) -> str | None:
    role = request.get("roleDefinitionId")
    is_known = not isinstance(role, str) or _BUILT_IN_ROLE.fullmatch(role)
    return None if is_known else f"whether the account has the role definition '{role}'"


# Source: https://learn.microsoft.com/azure/cosmos-db/how-to-setup-customer-managed-keys
def _lacks_backup_identity(request: ResourceRequest) -> bool:
    has_customer_managed_key = request.get("keyVaultKeyUri") is not None
    return (
        has_customer_managed_key
        and request.get("defaultIdentity") in (None, "FirstPartyIdentity")
        and request.get("backupPolicy.type") == "Continuous"
    )


# Source: https://github.com/hashicorp/terraform-provider-azurerm/issues/15842
_ONE_IN_ACCOUNT = OneWriter(
    "databaseAccounts",
    "PreconditionFailed: There is another user operation in progress which requires an exclusive lock on [{parent}]. "
    "Please retry after sometime.",
)

MODELS = (
    arm_model(
        "cosmosdb:DatabaseAccount",
        _COSMOS,
        located=True,
        identity=True,
        outputs={
            "documentEndpoint": "https://{accountName}.documents.azure.com:443/",
            "provisioningState": "Succeeded",
        },
        required=("locations", "databaseAccountOfferType"),
        transitions=(
            # Source: https://learn.microsoft.com/rest/api/cosmos-db-resource-provider/database-accounts/create-or-update
            refuse_change("kind", "BadRequest: The kind of a database account cannot be changed from {old} to {new}."),
            # A capability that can neither be added to an existing account nor removed from it. Source:
            # https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/cosmos/cosmosdb_account_resource.go
            refuse_change_when(
                "capabilities",
                lambda old, new: _has_serverless(old) != _has_serverless(new),
                "BadRequest: Updating the capability EnableServerless of an existing account is not supported.",
            ),
            # Documented at https://learn.microsoft.com/azure/cosmos-db/migrate-continuous-backup
            stays(
                "backupPolicy.type",
                "Continuous",
                "BadRequest: An account with continuous backup cannot be changed to {new} backup.",
            ),
        ),
        rules=(
            # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftdocumentdb
            matches(
                "accountName",
                r"[a-z0-9][a-z0-9-]{1,42}[a-z0-9]",
                "BadRequest: Database account name '{value}' must be 3 to 44 lower-case letters, digits or '-'.",
            ),
            # Source: https://learn.microsoft.com/azure/cosmos-db/serverless
            refuse_when(
                lambda request: _is_serverless(request) and len(list(list_objects(request, "locations"))) > 1,
                "BadRequest: Serverless accounts do not support multiple regions.",
            ),
            refuse_when(
                _lacks_backup_identity,
                "BadRequest: Continuous backup with customer-managed keys needs a user-assigned default identity.",
            ),
        ),
    ),
    arm_model(
        "cosmosdb:SqlResourceSqlDatabase",
        _COSMOS + "/sqlDatabases/{databaseName}",
        located=True,
        required=("resource.id",),
        transitions=UNRESTRICTED,
        rules=(
            refuse_when(
                _has_invalid_throughput, "BadRequest: The autoscale maximum must be 1000 RU/s or a multiple of it."
            ),
        ),
        state_rules=(_refuse_serverless_throughput,),
    ),
    arm_model(
        "cosmosdb:SqlResourceSqlContainer",
        _COSMOS + "/sqlDatabases/{databaseName}/containers/{containerName}",
        located=True,
        required=("resource.id",),
        # Reported of databases whose containers share provisioned throughput; required of all here. Source:
        # https://github.com/MicrosoftDocs/azure-docs/issues/47481
        one_writer=OneWriter(
            "sqlDatabases",
            "Please retry as possibly multiple shared RU collection creates are competing. The database is {parent}.",
        ),
        transitions=(
            # Documented at https://learn.microsoft.com/azure/cosmos-db/partitioning-overview
            refuse_change_when(
                "resource.partitionKey",
                lambda old, new: _describe_partition_key(old) != _describe_partition_key(new),
                "BadRequest: Document collection partition key cannot be changed (from {old} to {new}).",
            ),
            # Documented at https://learn.microsoft.com/azure/cosmos-db/unique-keys
            refuse_change(
                "resource.uniqueKeyPolicy",
                "BadRequest: The unique index cannot be modified. To change the unique index, remove the collection "
                "and re-create a new one.",
            ),
        ),
        rules=(
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/cosmos/cosmosdb_sql_container_resource.go
            require_any(
                ["resource.partitionKey.paths"],
                "BadRequest: The partition key is missing: set resource.partitionKey.paths.",
            ),
            _check_partition_key,
        ),
        state_rules=(_refuse_serverless_throughput,),
    ),
    arm_model(
        "cosmosdb:SqlResourceSqlRoleAssignment",
        _COSMOS + "/sqlRoleAssignments/{roleAssignmentId}",
        transitions=_REFUSE_OTHER_ASSIGNEE,
        one_writer=_ONE_IN_ACCOUNT,
        rules=(
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/cosmos/cosmosdb_sql_role_assignment_resource.go
            *(
                require_any([path], f"BadRequest: The role assignment is incomplete: set {path}.")
                for path in ("roleDefinitionId", "scope", "principalId")
            ),
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/cosmos/cosmosdb_sql_role_assignment_resource.go
            refuse_when(_has_malformed_role, "NotFound: The Role Definition '{roleDefinitionId}' was not found."),
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/cosmos/cosmosdb_sql_role_assignment_resource.go
            matches(
                "roleAssignmentId",
                r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
                "BadRequest: The role assignment's ID '{value}' must be a GUID.",
            ),
        ),
        state_rules=(require_principal("principalId", message=_PRINCIPAL_NOT_FOUND),),
        notes=(_note_role,),
    ),
)
