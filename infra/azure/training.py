"""The managed training service of the cloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization, machinelearningservices, managedidentity
from pulumi_random import RandomId

from infra.azure.artifacts import Artifacts
from infra.azure.identity import Identities, Role, assign_role, wait_for_propagation
from infra.azure.network import Network
from infra.azure.observability import Observability
from infra.azure.registry import Registry
from infra.azure.secrets import Secrets, create_private_vault
from infra.contract import TrainingContract
from infra.core.component import Component, StackContext

_COMPUTE = "low-priority"


@dataclass(frozen=True)
class TrainingArgs:
    context: StackContext
    network: Network
    observability: Observability
    secrets: Secrets
    registry: Registry
    artifacts: Artifacts
    identities: Identities


class Training(Component):
    """An Azure Machine Learning workspace, and low-priority machines that scale to zero."""

    layer = "azure"

    def __init__(self, name: str, args: TrainingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        # A workspace administers its vault, so it has its own vault rather than the platform's.
        self._vault = create_private_vault(name, "ml", args.context, args.network, parent=self)
        self._identity = managedidentity.UserAssignedIdentity(
            name,
            resource_group_name=args.network.resource_group,
            resource_name_=args.context.naming.regional_name("workspace", limit=128),
            tags=args.context.naming.tags,
            opts=self.child_options(),
        )
        grants = wait_for_propagation(name, self._grant_workspace(name), self)
        self._workspace = self._create_workspace(name, grants)
        self._id: pulumi.Output[str] = self._workspace.id
        self._vault_id: pulumi.Output[str] = self._vault.id
        args.network.create_private_endpoint(f"{name}-workspace", self._workspace.id, "amlworkspace", parent=self)
        self._create_compute(f"{name}-low-priority")
        self.register_outputs({"name": self._workspace.name})

    @property
    def id(self) -> pulumi.Output[str]:
        return self._id

    @property
    def vault_id(self) -> pulumi.Output[str]:
        """ID of the workspace's own vault."""
        return self._vault_id

    @property
    def contract(self) -> TrainingContract:
        return TrainingContract(name=self._workspace.name)

    def _grant_workspace(self, name: str) -> list[authorization.RoleAssignment]:
        """The roles that a workspace needs on the resources it uses.

        Source: https://learn.microsoft.com/azure/machine-learning/how-to-identity-based-service-authentication
        """
        args = self._args
        needs: Mapping[str, tuple[Role, pulumi.Output[str]]] = {
            "storage": (Role.CONTRIBUTOR, args.artifacts.account_id),
            "blobs": (Role.BLOB_DATA_CONTRIBUTOR, args.artifacts.account_id),
            "registry": (Role.CONTRIBUTOR, args.registry.id),
            "vault": (Role.CONTRIBUTOR, self._vault.id),
            "vault-data": (Role.KEY_VAULT_ADMINISTRATOR, self._vault.id),
            "insights": (Role.CONTRIBUTOR, args.observability.insights_id),
        }
        return [
            assign_role(f"{name}-{what}", role, scope, self._identity.principal_id, self)
            for what, (role, scope) in needs.items()
        ]

    def _create_workspace(self, name: str, grants: pulumi.Resource) -> machinelearningservices.Workspace:
        args, encryption = self._args, self._args.secrets.encryption
        # A deleted workspace keeps its name for 14 days, in which it can be restored. Source:
        # https://learn.microsoft.com/azure/machine-learning/concept-soft-delete
        digits = RandomId(f"{name}-workspace", byte_length=4, opts=self.child_options())
        return machinelearningservices.Workspace(
            name,
            resource_group_name=args.network.resource_group,
            workspace_name=pulumi.Output.concat(args.context.naming.global_word("ml", limit=33 - 8), digits.hex),
            sku=machinelearningservices.SkuArgs(name="Basic", tier="Basic"),
            identity=machinelearningservices.ManagedServiceIdentityArgs(
                type="UserAssigned", user_assigned_identities=[self._identity.id, encryption.identity]
            ),
            primary_user_assigned_identity=self._identity.id,
            storage_account=args.artifacts.account_id,
            system_datastores_auth_mode="identity",
            key_vault=self._vault.id,
            container_registry=args.registry.id,
            application_insights=args.observability.insights_id,
            # The registry's own build service cannot reach a private registry.
            # Source: https://learn.microsoft.com/azure/machine-learning/how-to-managed-network
            image_build_compute=_COMPUTE,
            public_network_access="Disabled",
            managed_network=machinelearningservices.ManagedNetworkSettingsArgs(
                isolation_mode="AllowOnlyApprovedOutbound"
            ),
            encryption=machinelearningservices.EncryptionPropertyArgs(
                status="Enabled",
                identity=machinelearningservices.IdentityForCmkArgs(user_assigned_identity=encryption.identity),
                # Documented with a version only, and without a way to follow a rotation. Source:
                # https://learn.microsoft.com/azure/machine-learning/how-to-setup-customer-managed-keys
                key_vault_properties=machinelearningservices.KeyVaultPropertiesArgs(
                    key_vault_arm_id=encryption.vault,
                    key_identifier=self._args.secrets.create_pinned_key("training"),
                ),
            ),
            # Encrypts the data on Microsoft's side. Otherwise the workspace creates a database and a search service in
            # this subscription, at its cost.
            enable_service_side_cmk_encryption=True,
            v1_legacy_mode=False,
            tags=args.context.naming.tags,
            opts=self.child_options(depends_on=[grants]),
        )

    def _create_compute(self, name: str) -> None:
        """Machines that Azure can evict at any time; their jobs run as the workload `training`, as in the cluster."""
        settings = self._args.context.settings
        machinelearningservices.Compute(
            name,
            resource_group_name=self._args.network.resource_group,
            workspace_name=self._workspace.name,
            compute_name=_COMPUTE,
            location=settings.location,
            identity=machinelearningservices.ManagedServiceIdentityArgs(
                type="UserAssigned", user_assigned_identities=[self._args.identities.identity_id("training")]
            ),
            properties=machinelearningservices.AmlComputeArgs(
                compute_type="AmlCompute",
                disable_local_auth=True,
                properties=machinelearningservices.AmlComputePropertiesArgs(
                    os_type="Linux",
                    vm_size=settings.training.size,
                    vm_priority="LowPriority",
                    enable_node_public_ip=False,
                    remote_login_port_public_access="Disabled",
                    scale_settings=machinelearningservices.ScaleSettingsArgs(
                        min_node_count=0,
                        max_node_count=settings.training.maximum_nodes,
                        node_idle_time_before_scale_down="PT5M",
                    ),
                ),
            ),
            tags=self._args.context.naming.tags,
            opts=self.child_options(),
        )
