"""Checks that jobs on machines of Machine Learning may write their outputs, and reach what they may use.

A job writes its logs and outputs to the workspace's default store, as the first identity of its compute. It reaches
private resources only through private endpoints of the workspace's managed network. Sources:
https://learn.microsoft.com/azure/machine-learning/how-to-disable-local-auth-storage#scenarios-for-role-assignments and
https://learn.microsoft.com/azure/machine-learning/how-to-managed-network
"""

from __future__ import annotations

from collections.abc import Iterator

from kernel.paths import look_up
from kernel.values import as_list
from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.simulator.azure.access import ENDPOINT_SERVICES
from rehearsal.simulator.azure.managed_network import is_managed, list_private_targets
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.wiring.grants import has_azure_role, list_azure_scopes
from rehearsal.wiring.graph import Wiring, describe

_COMPUTE = "azure-native:machinelearningservices:Compute"
_WRITERS = ("Storage Blob Data Contributor", "Storage Blob Data Owner")


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    for compute in wiring.clouds.all(_COMPUTE):
        workspace = wiring.clouds.find(compute.id.rpartition("/computes/")[0])
        identities = as_list(look_up(compute.inputs, "identity.userAssignedIdentities", None))
        found = [identity for id_ in identities if (identity := wiring.clouds.find(str(id_))) is not None]
        if workspace is not None and found:
            yield from _check_outputs(wiring, compute, workspace, found[0])
            if is_managed(workspace.inputs):
                yield from _check_reach(wiring, compute, workspace, found)


def _check_outputs(wiring: Wiring, compute: Resource, workspace: Resource, identity: Resource) -> Iterator[Problem]:
    """Check that the jobs' identity may write the default store, unless the workspace gives jobs the store's key."""
    account = wiring.clouds.find(str(workspace.inputs.get("storageAccount")))
    if account is None or str(workspace.inputs.get("systemDatastoresAuthMode")).lower() != "identity":
        return
    # Azure ML creates the containers, so a role on one of them is not enough.
    if not has_azure_role(wiring, str(identity.outputs.get("principalId")), _WRITERS, account.id):
        reason = (
            f"its jobs write logs and outputs to {describe(account)}, the store of {describe(workspace)}, which their "
            f"identity {describe(identity)} may not write"
        )
        yield Problem(describe(compute), reason, f"assign {_WRITERS[0]} on the account")


def _check_reach(
    wiring: Wiring, compute: Resource, workspace: Resource, identities: list[Resource]
) -> Iterator[Problem]:
    """Check that the network has private endpoints to the private resources on which the identities have roles."""
    targets = {target.lower() for target in list_private_targets(workspace.id, workspace.inputs)}
    for identity in identities:
        scopes = [f"{scope}/".lower() for scope in list_azure_scopes(wiring, str(identity.outputs.get("principalId")))]
        for type_, (service, path) in ENDPOINT_SERVICES.items():
            for resource in wiring.clouds.all(type_):
                is_private = look_up(resource.inputs, path, "Enabled") == "Disabled"
                is_used = any(scope.startswith(f"{resource.id}/".lower()) for scope in scopes)
                if is_private and is_used and resource.id.lower() not in targets:
                    reason = (
                        f"its jobs may use the {service} {describe(resource)}, but the managed network of "
                        f"{describe(workspace)} has no private endpoint to it"
                    )
                    yield Problem(describe(compute), reason, "add an outbound rule of the type PrivateEndpoint")
