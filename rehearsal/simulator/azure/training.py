"""Azure Machine Learning."""

from __future__ import annotations

from datetime import timedelta

from kernel.values import UNKNOWN
from rehearsal.simulator.azure.arm import arm_model, find_in_group, get_location
from rehearsal.simulator.azure.managed_network import (
    WORKSPACE,
    is_managed,
    refuse_impossible_rules,
    refuse_unapproved_endpoints,
)
from rehearsal.simulator.core.remains import Tombstone
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceRequest
from rehearsal.simulator.core.rules import matches, one_of, refuse_when, require_any
from rehearsal.simulator.core.transitions import refuse_change, refuse_change_when, stays


# Source: https://github.com/microsoft/AzureTRE/issues/1920
def _refuse_hierarchical_storage(request: ResourceRequest) -> str | None:
    account = request.state.find(str(request.get("storageAccount")))
    if account is None or account.inputs.get("isHnsEnabled") is not True:
        return None
    return f"BadRequest: Cannot use storage with HNS enabled. It is {account.inputs['accountName']}."


def _lacks_dependencies(request: ResourceRequest) -> bool:
    """Whether a workspace lacks the resources that it needs; one in a hub uses the hub's.

    Sources: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/machinelearning/machine_learning_workspace_resource.go
    and, for the message, https://github.com/Azure/azure-cli/issues/28980
    """
    needed = ("storageAccount", "keyVault", "applicationInsights")
    return request.get("hubResourceId") is None and any(request.get(path) is None for path in needed)


def _lacks_primary_identity(request: ResourceRequest) -> bool:
    primary, attached = request.get("primaryUserAssignedIdentity"), request.get("identity.userAssignedIdentities")
    return (
        isinstance(primary, str) and isinstance(attached, list) and UNKNOWN not in attached and primary not in attached
    )


# Microsoft's SDK refuses it too (validate_configuration in azureml/core/compute/amlcompute.py); the message is not
# Azure's own. Source: https://pypi.org/project/azureml-core
def _has_inverted_scale(request: ResourceRequest) -> bool:
    settings = "properties.properties.scaleSettings"
    low, high = request.get(f"{settings}.minNodeCount", 0), request.get(f"{settings}.maxNodeCount", UNKNOWN)
    return low is not UNKNOWN and high is not UNKNOWN and low > high


# Documented at https://github.com/hashicorp/terraform-provider-azurerm/pull/21377 and, for managed networks,
# https://github.com/hashicorp/terraform-provider-azurerm/issues/27506; the message is not Azure's own.
def _require_compute_network(request: ResourceRequest) -> str | None:
    workspace = find_in_group(request, WORKSPACE)
    if workspace is None or request.get("properties.properties.enableNodePublicIp") is not False:
        return None
    if request.get("properties.properties.subnet"):
        return None
    if is_managed(workspace.inputs):
        return None
    return "BadRequest: Compute without public IP needs a subnet, or a workspace with a managed network."


MODELS = (
    arm_model(
        "machinelearningservices:Workspace",
        WORKSPACE,
        located=True,
        identity=True,
        outputs={
            "workspaceId": "{uuid}",
            "discoveryUrl": lambda request: f"https://{get_location(request)}.api.azureml.ms/discovery",
            "provisioningState": "Succeeded",
        },
        # Source: https://learn.microsoft.com/azure/machine-learning/concept-soft-delete
        tombstone=Tombstone(
            lambda request: request.fill("{resourceGroupName}/{workspaceName}").lower(),
            lambda _: timedelta(days=14),
            "BadRequest: Soft-deleted workspace exists. Please purge or recover it. https://aka.ms/wsoftdelete",
        ),
        transitions=(
            # The messages of the first four are not Azure's own.
            # Documented at https://learn.microsoft.com/rest/api/azureml/workspaces/create-or-update
            refuse_change("keyVault", "ValidationError: The key vault of a workspace cannot be changed to {new}."),
            # Documented at https://learn.microsoft.com/rest/api/azureml/workspaces/create-or-update
            refuse_change("storageAccount", "ValidationError: The storage of a workspace cannot be changed to {new}."),
            # Documented at https://learn.microsoft.com/azure/machine-learning/concept-data-encryption
            refuse_change(
                "hbiWorkspace",
                "ValidationError: hbiWorkspace of a workspace cannot be changed from {old} to {new}.",
                unset=False,
            ),
            # Documented at https://learn.microsoft.com/azure/machine-learning/concept-customer-managed-keys#limitations
            stays(
                "encryption.status",
                "Enabled",
                "ValidationError: The encryption of a workspace cannot be changed to {new}.",
            ),
            # Documented at https://learn.microsoft.com/azure/machine-learning/how-to-managed-network (limitations)
            refuse_change_when(
                "managedNetwork.isolationMode",
                lambda old, new: old not in (None, "Disabled") and new in (None, "Disabled"),
                "ValidationError: Managed network isolation {old} of the workspace cannot be disabled.",
            ),
        ),
        rules=(
            # Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftmachinelearningservices
            matches(
                "workspaceName",
                r"[A-Za-z0-9][\w-]{2,32}",
                "ValidationError: Workspace name {value} is invalid: 3 to 33 letters, digits, '-' or '_'.",
            ),
            refuse_when(_lacks_dependencies, "ValidationError: Missing dependent resources in workspace json"),
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/machinelearning/machine_learning_workspace_resource.go
            require_any(["identity.type"], "ValidationError: The workspace has no identity: set identity.type."),
            refuse_when(
                _lacks_primary_identity,
                "ValidationError: primaryUserAssignedIdentity must be one of the workspace's identities.",
            ),
            refuse_impossible_rules,
        ),
        state_rules=(_refuse_hierarchical_storage, refuse_unapproved_endpoints),
    ),
    arm_model(
        "machinelearningservices:Compute",
        WORKSPACE + "/computes/{computeName}",
        located=True,
        identity=True,
        outputs={},
        # The API's specification allows these only at creation. Source:
        # https://github.com/Azure/azure-rest-api-specs/blob/main/specification/machinelearningservices/resource-manager/Microsoft.MachineLearningServices/MachineLearningServices/stable/2025-12-01/openapi.json
        replace_on_changes=("properties.computeLocation", "properties.disableLocalAuth"),
        # An update overwrites the compute, even if it changes the machine size. Source:
        # https://learn.microsoft.com/rest/api/azureml/compute/create-or-update
        transitions=UNRESTRICTED,
        rules=(
            # Source: https://learn.microsoft.com/rest/api/azureml/compute/create-or-update
            require_any(["properties.computeType"], "BadRequest: The compute has no type: set properties.computeType."),
            # The name of a cluster; an instance's name has other limits. Source:
            # https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/machinelearning/validate/compute_cluster_name.go
            matches(
                "computeName",
                r"[A-Za-z][A-Za-z0-9-]{1,30}[A-Za-z0-9]",
                "BadRequest: Compute name {value} is invalid. It can include letters, digits and dashes. It must start "
                "with a letter, end with a letter or digit, and be between 3 and 32 characters in length.",
            ),
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/machinelearning/machine_learning_compute_cluster_resource.go
            one_of(
                "properties.properties.vmPriority",
                ("Dedicated", "LowPriority"),
                "BadRequest: VM priority '{value}' is not known.",
            ),
            refuse_when(_has_inverted_scale, "BadRequest: minNodeCount must not be greater than maxNodeCount."),
        ),
        state_rules=(_require_compute_network, refuse_unapproved_endpoints),
    ),
)
