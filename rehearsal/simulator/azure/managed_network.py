"""The managed network of a Machine Learning workspace: what its machines reach, and who approves that.

Source: https://learn.microsoft.com/azure/machine-learning/how-to-managed-network
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kernel.paths import look_up
from kernel.values import UNKNOWN
from rehearsal.simulator.azure.arm import find_in_group
from rehearsal.simulator.azure.identity import has_role
from rehearsal.simulator.core.resource_model import ResourceRequest, StateReader

WORKSPACE = "Microsoft.MachineLearningServices/workspaces/{workspaceName}"
_ID = f"/subscriptions/{{subscriptionId}}/resourceGroups/{{resourceGroupName}}/providers/{WORKSPACE}"
# Azure gives the network private endpoints to these by itself, and to the workspace.
_DEPENDENCIES = ("storageAccount", "keyVault", "containerRegistry")
# A contributor may do everything but assign roles. Source:
# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/privileged#contributor
_APPROVERS = ("Azure AI Enterprise Network Connection Approver", "Contributor")
# Source: https://learn.microsoft.com/rest/api/azureml/managed-network-settings-rule/create-or-update
_NAME = r"[A-Za-z0-9][\w-]{2,32}"


def is_managed(workspace: Mapping[str, Any]) -> bool:
    """Whether a workspace with these inputs has a managed network."""
    return look_up(workspace, "managedNetwork.isolationMode", "Disabled") not in (None, UNKNOWN, "Disabled")


def list_private_targets(id_: str, workspace: Mapping[str, Any]) -> Iterator[str]:
    """IDs of the resources to which the managed network of a workspace with these inputs has private endpoints."""
    declared = (look_up(rule, "destination.serviceResourceId", None) for rule in _list_rules(workspace).values())
    for target in (id_, *(workspace.get(path) for path in _DEPENDENCIES), *declared):
        if isinstance(target, str) and target:
            yield target


# Documented at https://learn.microsoft.com/azure/machine-learning/how-to-managed-network#approval-of-private-endpoints;
# the message is not Azure's own.
def refuse_unapproved_endpoints(request: ResourceRequest) -> str | None:
    """The workspace's own identity has to approve the network's private endpoints, which are created with the network.

    That is when the workspace is created, or otherwise its first compute. Azure grants this to a system-assigned
    identity by itself.
    """
    if request.type.endswith(":Workspace"):
        if request.get("provisionNetworkNow") is not True:
            return None
        id_, inputs = request.fill(_ID), request.inputs
    else:
        workspace = find_in_group(request, WORKSPACE)
        if workspace is None:
            return None
        id_, inputs = workspace.id, workspace.inputs
    target = _find_unapproved(request.state, id_, inputs) if is_managed(inputs) else None
    if target is None:
        return None
    return (
        "AuthorizationFailed: The managed network of the workspace cannot be provisioned: identity "
        f"{inputs['primaryUserAssignedIdentity']} may not approve its private endpoint connection to {target}. Assign "
        f"it the role {_APPROVERS[0]}."
    )


def _find_unapproved(state: StateReader, id_: str, workspace: Mapping[str, Any]) -> str | None:
    identity = state.find(str(workspace.get("primaryUserAssignedIdentity")))
    if identity is None:
        return None
    principal = identity.outputs["principalId"]
    for target in list_private_targets(id_, workspace):
        if not any(has_role(state, principal, role, target) for role in _APPROVERS):
            return target
    return None


# Documented at https://learn.microsoft.com/azure/machine-learning/how-to-managed-network#limitations; the messages are
# not Azure's own.
def refuse_impossible_rules(request: ResourceRequest) -> str | None:
    """What a rule may be called, and what it may reach."""
    isolation = request.get("managedNetwork.isolationMode")
    for name, rule in _list_rules(request.inputs).items():
        if not re.fullmatch(_NAME, name):
            return f"ValidationError: Outbound rule name {name} is invalid: 3 to 33 letters, digits, '-' or '_'."
        kind, destination = rule.get("type"), rule.get("destination")
        if kind in ("FQDN", "ServiceTag") and isolation not in (UNKNOWN, "AllowOnlyApprovedOutbound"):
            return (
                f"ValidationError: Outbound rule {name} of type {kind} is not supported when the isolation mode is "
                f"{isolation}."
            )
        if kind == "FQDN" and isinstance(destination, str) and destination.endswith(".core.windows.net"):
            return f"ValidationError: Outbound rule {name} must be a private endpoint to reach {destination}."
    return None


def _list_rules(workspace: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The outbound rules that are known, by name."""
    rules = look_up(workspace, "managedNetwork.outboundRules", None)
    if not isinstance(rules, Mapping):
        return {}
    return {name: rule for name, rule in rules.items() if isinstance(rule, Mapping)}
