"""Roles, role assignments and the workloads' identities.

`ROLES` and `COSMOS_ROLES` translate the access table; workloads get no other roles, except that jobs of Azure Machine
Learning write to its own store.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pulumi
import pulumiverse_time
from pulumi_azure_native import authorization, cosmosdb, managedidentity

from infra.access import WORKLOADS, Access, Store, Workload
from infra.azure.network import Network
from infra.contract import Endpoint, Identity
from infra.core.component import Component, StackContext


class Role(StrEnum):
    """Built-in roles. Source: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles"""

    ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
    ACR_PUSH = "8311e382-0749-4cb8-b61a-304f252e45ec"
    BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
    BLOB_DATA_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
    CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
    KEY_VAULT_ADMINISTRATOR = "00482a5a-887f-4fb3-b363-3b7fe8e74483"
    KEY_VAULT_CONTRIBUTOR = "f25e0fa2-a7c8-4377-a976-54943a77a395"
    KEY_VAULT_CRYPTO_USER = "12338af0-0e69-4776-bea7-57ae8d297424"
    KEY_VAULT_ENCRYPTION_USER = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
    KEY_VAULT_SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
    KUBERNETES_CLUSTER_ADMIN = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"
    MANAGED_IDENTITY_OPERATOR = "f1a07417-d97a-45cb-824c-7a7467783830"
    NETWORK_CONNECTION_APPROVER = "b556d68e-0be0-4f35-a333-ad7ee1ce17ea"
    NETWORK_CONTRIBUTOR = "4d97b98b-1d4f-4787-a291-c67834d212e7"
    READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


class CosmosRole(StrEnum):
    """Cosmos DB's built-in data plane roles, which are not Azure roles.

    Source: https://learn.microsoft.com/azure/cosmos-db/nosql/reference-data-plane-security
    """

    DATA_READER = "00000000-0000-0000-0000-000000000001"
    DATA_CONTRIBUTOR = "00000000-0000-0000-0000-000000000002"


# Encrypted stores access the key with their own identity, so workloads need no role on it.
ROLES: Mapping[tuple[Store, Access], Role] = {
    (Store.ARTIFACTS, Access.READ): Role.BLOB_DATA_READER,
    (Store.ARTIFACTS, Access.WRITE): Role.BLOB_DATA_CONTRIBUTOR,
    (Store.INFERENCES, Access.READ): Role.BLOB_DATA_READER,
    (Store.INFERENCES, Access.WRITE): Role.BLOB_DATA_CONTRIBUTOR,
    (Store.REGISTRY, Access.READ): Role.ACR_PULL,
    (Store.REGISTRY, Access.WRITE): Role.ACR_PUSH,
    (Store.SECRETS, Access.READ): Role.KEY_VAULT_SECRETS_USER,
    (Store.LOGS, Access.READ): Role.BLOB_DATA_READER,
    (Store.LOGS, Access.WRITE): Role.BLOB_DATA_CONTRIBUTOR,
    (Store.TRACES, Access.READ): Role.BLOB_DATA_READER,
    (Store.TRACES, Access.WRITE): Role.BLOB_DATA_CONTRIBUTOR,
}
COSMOS_ROLES: Mapping[Access, CosmosRole] = {
    Access.READ: CosmosRole.DATA_READER,
    Access.WRITE: CosmosRole.DATA_CONTRIBUTOR,
}

# How long a role assignment can take to become effective, and a new principal to be known everywhere in Entra ID.
# Source: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting
PROPAGATION = "10m"
# The same for roles within a cluster. Source: https://learn.microsoft.com/azure/aks/entra-id-authorization
CLUSTER_PROPAGATION = "5m"

# Entra ID has many addresses, which change.
TOKEN_ENDPOINT = Endpoint(["0.0.0.0/0"], 443)


def assign_role(
    name: str,
    role: Role,
    scope: pulumi.Input[str],
    principal: pulumi.Input[str],
    parent: pulumi.Resource,
    principal_type: str = "ServicePrincipal",
) -> authorization.RoleAssignment:
    """Assign a role on one resource to a managed identity, or to a principal of another type."""
    return authorization.RoleAssignment(
        name,
        role_assignment_name=assignment_name(scope, role, principal),
        role_definition_id=role_definition_id(role, parent),
        scope=scope,
        principal_id=principal,
        # With the type, Azure does not look up the principal, which may not be replicated yet.
        principal_type=principal_type,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def wait_for_propagation(
    name: str,
    created: Sequence[authorization.RoleAssignment | managedidentity.UserAssignedIdentity],
    parent: pulumi.Resource,
    duration: str = PROPAGATION,
) -> pulumiverse_time.Sleep:
    """Wait once after the creation of role assignments or identities; resources that use them depend on the result.

    Azure confirms a role assignment before it is effective, and until then rejects the requests that it allows. The
    provider does not retry such requests.
    """
    return pulumiverse_time.Sleep(
        f"{name}-propagation",
        create_duration=duration,
        # Other assignments or identities have other IDs.
        triggers={str(number): resource.id for number, resource in enumerate(created)},
        opts=pulumi.ResourceOptions(parent=parent),
    )


def assignment_name(
    scope: pulumi.Input[str], role: Role | CosmosRole, principal: pulumi.Input[str]
) -> pulumi.Output[str]:
    """The GUID that names an assignment, derived from its content: different content is a different assignment."""
    content = pulumi.Output.format("{}|{}|{}", scope, role.value, principal)
    return content.apply(lambda text: str(uuid.uuid5(uuid.NAMESPACE_URL, text)))


def role_definition_id(role: Role, parent: pulumi.Resource) -> pulumi.Output[str]:
    """ID of a built-in role in the current subscription."""
    account = authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=parent))
    return pulumi.Output.format(
        "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{}", account.subscription_id, role.value
    )


@dataclass(frozen=True)
class IdentitiesArgs:
    context: StackContext
    network: Network
    oidc_issuer: pulumi.Output[str]
    scopes: Mapping[Store, pulumi.Output[str]]  # ID of each store's resource
    experiments_account_name: pulumi.Output[str]  # of the Cosmos DB account
    experiments_database: str  # its name in the account
    experiments_containers: Sequence[pulumi.Resource]  # created before roles on the account are assigned


class Identities(Component):
    """One managed identity per workload, which only its service account in this cluster can use."""

    layer = "azure"

    def __init__(self, name: str, args: IdentitiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        self._identities = {workload.name: self._create_identity(name, workload) for workload in WORKLOADS}
        on_experiments = self._assign_cosmos_roles(name)
        # The address that a pod needs in order to use its identity.
        self._grants: Mapping[str, Sequence[pulumi.CustomResource]] = {
            workload.name: [
                self._trust_service_account(name, workload),
                *self._assign_roles(name, workload),
                *on_experiments.get(workload.name, ()),
            ]
            for workload in WORKLOADS
        }
        self.register_outputs({name: identity.client_id for name, identity in self._identities.items()})

    @property
    def contract(self) -> Mapping[str, Identity]:
        return {
            name: Identity(
                principal=pulumi.Output.all(identity.principal_id, *[grant.id for grant in self._grants[name]]).apply(
                    lambda known: str(known[0])
                ),
                service_account_annotations={"azure.workload.identity/client-id": identity.client_id},
                pod_labels={"azure.workload.identity/use": "true"},
                token_endpoint=TOKEN_ENDPOINT,
            )
            for name, identity in self._identities.items()
        }

    def identity_id(self, workload: str) -> pulumi.Output[str]:
        """ID of a workload's identity, for Azure services that run as this workload."""
        identity: pulumi.Output[str] = self._identities[workload].id
        return identity

    def _create_identity(self, name: str, workload: Workload) -> managedidentity.UserAssignedIdentity:
        naming = self._args.context.naming
        return managedidentity.UserAssignedIdentity(
            f"{name}-{workload.name}",
            resource_group_name=self._args.network.resource_group,
            resource_name_=naming.regional_name(workload.name, limit=128),
            tags=naming.tags,
            opts=self.child_options(),
        )

    def _trust_service_account(self, name: str, workload: Workload) -> managedidentity.FederatedIdentityCredential:
        """Allow exactly one service account of the cluster to use a workload's identity."""
        identity = self._identities[workload.name]
        return managedidentity.FederatedIdentityCredential(
            f"{name}-{workload.name}",
            resource_group_name=self._args.network.resource_group,
            resource_name_=identity.name,
            federated_identity_credential_resource_name="kubernetes",
            issuer=self._args.oidc_issuer,
            subject=f"system:serviceaccount:{workload.namespace}:{workload.service_account}",
            audiences=["api://AzureADTokenExchange"],
            opts=pulumi.ResourceOptions(parent=identity),
        )

    def _assign_roles(self, name: str, workload: Workload) -> Sequence[authorization.RoleAssignment]:
        identity = self._identities[workload.name]
        return [
            assign_role(
                f"{name}-{workload.name}-{store.name.lower().replace('_', '-')}",
                ROLES[store, access],
                self._args.scopes[store],
                identity.principal_id,
                identity,
            )
            for store, access in workload.needs.items()
            if store is not Store.EXPERIMENTS and access is not Access.CONNECT
        ]

    def _assign_cosmos_roles(self, name: str) -> Mapping[str, Sequence[pulumi.CustomResource]]:
        """Roles on Cosmos DB containers, keyed by workload; one after another, as the account requires.

        A role on a container allows clients to read the metadata of only that container, which they need.
        Source: https://learn.microsoft.com/azure/cosmos-db/nosql/reference-data-plane-security#metadata-requests

        Unlike Azure roles, these can be assigned only to a principal that Entra ID already finds.
        Sources: https://github.com/hashicorp/terraform-provider-azurerm/issues/15842 and
        https://github.com/hashicorp/terraform-provider-azurerm/issues/17233
        """
        waits_for = [
            wait_for_propagation(name, list(self._identities.values()), self),
            *self._args.experiments_containers,
        ]
        account = self._args.scopes[Store.EXPERIMENTS]
        assigned: dict[str, list[pulumi.CustomResource]] = {}
        for workload in WORKLOADS:
            if Store.EXPERIMENTS not in workload.needs:
                continue
            identity, role = self._identities[workload.name], COSMOS_ROLES[workload.needs[Store.EXPERIMENTS]]
            for table in workload.tables:
                scope = pulumi.Output.concat(account, f"/dbs/{self._args.experiments_database}/colls/{table}")
                assignment = cosmosdb.SqlResourceSqlRoleAssignment(
                    f"{name}-{workload.name}-{table}",
                    resource_group_name=self._args.network.resource_group,
                    account_name=self._args.experiments_account_name,
                    role_assignment_id=assignment_name(scope, role, identity.principal_id),
                    role_definition_id=pulumi.Output.concat(account, "/sqlRoleDefinitions/", role.value),
                    scope=scope,
                    principal_id=identity.principal_id,
                    opts=pulumi.ResourceOptions(parent=identity, depends_on=waits_for),
                )
                waits_for = [assignment]
                assigned.setdefault(workload.name, []).append(assignment)
        return assigned
