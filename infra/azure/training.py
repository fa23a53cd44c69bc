"""The managed training service of the cloud."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import pulumi
from pulumi_azure_native import authorization, machinelearningservices, managedidentity, storage
from pulumi_random import RandomId

from infra.azure.artifacts import Artifacts
from infra.azure.experiments import Experiments
from infra.azure.identity import Identities, Role, assign_role, wait_for_propagation
from infra.azure.network import Network
from infra.azure.observability import Observability
from infra.azure.registry import Registry
from infra.azure.secrets import Secrets, create_private_vault
from infra.azure.storage_account import (
    SOFT_DELETE_DAYS,
    create_expiry,
    create_private_account,
    create_soft_delete,
    expire_versions,
)
from infra.contract import TrainingContract
from infra.core.component import Component, StackContext

_COMPUTE = "low-priority"
_JOBS = "training"  # the workload as which jobs run

_OutboundRule: TypeAlias = (
    machinelearningservices.FqdnOutboundRuleArgs | machinelearningservices.PrivateEndpointOutboundRuleArgs
)


@dataclass(frozen=True)
class TrainingArgs:
    context: StackContext
    network: Network
    observability: Observability
    secrets: Secrets
    registry: Registry
    artifacts: Artifacts
    experiments: Experiments
    identities: Identities


class Training(Component):
    """An Azure Machine Learning workspace with its own store, and low-priority machines that scale to zero.

    Jobs write logs and outputs to the workspace's store, and use the artifact store and the experiments' store as
    Kubernetes Jobs do. They reach nothing in the cluster: a managed network has private endpoints to services of
    Azure only.
    """

    layer = "azure"

    def __init__(self, name: str, args: TrainingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        # A workspace administers its vault, so it has its own vault rather than the platform's.
        self._vault = create_private_vault(name, "ml", args.context, args.network, parent=self)
        self._account = self._create_store(f"{name}-jobs")
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
        # A workspace with a user-assigned identity needs this role on itself, too.
        assign_role(f"{name}-workspace", Role.CONTRIBUTOR, self._workspace.id, self._identity.principal_id, self)
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
    def blob_service_id(self) -> pulumi.Output[str]:
        """ID of the blob service of the workspace's store, which has its own logs."""
        return self._blob_service_id

    @property
    def contract(self) -> TrainingContract:
        return TrainingContract(name=self._workspace.name)

    def _create_store(self, name: str) -> storage.StorageAccount:
        """The workspace's store, in which it creates the containers: code, logs and outputs of jobs.

        Only old versions are deleted: a run's logs are in one folder with the models that it has logged.
        """
        args = self._args
        days = args.context.settings.resilience.artifact_version_days
        account = create_private_account(name, "job", args.context, args.network, args.secrets, parent=self)
        args.network.create_private_endpoint(f"{name}-file", account.id, "file", parent=self)
        service = create_soft_delete(name, account, SOFT_DELETE_DAYS, args.network, self, is_versioned=True)
        self._blob_service_id: pulumi.Output[str] = service.id
        create_expiry(name, account, [expire_versions(days)], args.network, self)
        # A role on a container would not do: the names of containers contain the workspace's ID.
        # Source: https://learn.microsoft.com/azure/machine-learning/how-to-disable-local-auth-storage
        principal = args.identities.contract[_JOBS].principal
        assign_role(name, Role.BLOB_DATA_CONTRIBUTOR, account.id, principal, self)
        return account

    def _grant_workspace(self, name: str) -> list[authorization.RoleAssignment]:
        """The roles that a workspace needs on the resources it uses.

        It also approves the private endpoints of its network, among them one to itself. They are created with the
        workspace, when only the resource group can be the scope.
        Sources: https://learn.microsoft.com/azure/machine-learning/how-to-identity-based-service-authentication and
        https://learn.microsoft.com/azure/machine-learning/how-to-managed-network#approval-of-private-endpoints
        """
        args = self._args
        needs: Mapping[str, tuple[Role, pulumi.Output[str]]] = {
            "storage": (Role.CONTRIBUTOR, self._account.id),
            "blobs": (Role.BLOB_DATA_CONTRIBUTOR, self._account.id),
            "registry": (Role.CONTRIBUTOR, args.registry.id),
            "vault": (Role.CONTRIBUTOR, self._vault.id),
            "vault-data": (Role.KEY_VAULT_ADMINISTRATOR, self._vault.id),
            "insights": (Role.CONTRIBUTOR, args.observability.insights_id),
            "endpoints": (Role.NETWORK_CONNECTION_APPROVER, args.network.resource_group_id),
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
            storage_account=self._account.id,
            system_datastores_auth_mode="identity",
            key_vault=self._vault.id,
            container_registry=args.registry.id,
            application_insights=args.observability.insights_id,
            # The registry's own build service cannot reach a private registry.
            # Source: https://learn.microsoft.com/azure/machine-learning/how-to-managed-network
            image_build_compute=_COMPUTE,
            public_network_access="Disabled",
            managed_network=machinelearningservices.ManagedNetworkSettingsArgs(
                isolation_mode="AllowOnlyApprovedOutbound",
                # Of the firewall that filters by host; there is none without such rules.
                firewall_sku="Basic",
                # With the workspace instead of one by one: the firewall is updated for each, and an update of the
                # workspace may delete rules that it does not name. Sources:
                # https://github.com/Azure/terraform-provider-azapi/issues/720 and
                # https://github.com/Azure/terraform-provider-azapi/issues/453
                outbound_rules=self._define_outbound_rules(),
            ),
            # Otherwise the first compute waits for the network, which takes half an hour.
            provision_network_now=True,
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

    def _define_outbound_rules(self) -> Mapping[str, _OutboundRule]:
        """What jobs reach besides the workspace, its store, vault and registry, and Azure's own services."""
        args = self._args
        stores = {"artifacts": (args.artifacts.account_id, "blob"), "experiments": (args.experiments.id, "Sql")}
        return {
            **{
                name: machinelearningservices.PrivateEndpointOutboundRuleArgs(
                    type="PrivateEndpoint",
                    category="UserDefined",
                    destination=machinelearningservices.PrivateEndpointDestinationArgs(
                        service_resource_id=id_, subresource_target=group, spark_enabled=False
                    ),
                )
                for name, (id_, group) in stores.items()
            },
            **{
                _name_rule(host): machinelearningservices.FqdnOutboundRuleArgs(
                    type="FQDN", category="UserDefined", destination=host
                )
                for host in args.context.settings.training.outbound_hosts
            },
        }

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
                type="UserAssigned", user_assigned_identities=[self._args.identities.identity_id(_JOBS)]
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


def _name_rule(host: str) -> str:
    """The name of a host's rule. Names have at most 33 characters, and hosts may have more."""
    return f"host-{hashlib.sha256(host.encode()).hexdigest()[:12]}"
