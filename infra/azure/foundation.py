"""The foundation on Azure."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import Provider

from infra.access import Store
from infra.azure.artifacts import Artifacts, ArtifactsArgs
from infra.azure.audit import Audit, AuditArgs
from infra.azure.cluster import Cluster, ClusterArgs
from infra.azure.database import PORT, Database, DatabaseArgs
from infra.azure.experiments import Experiments, ExperimentsArgs
from infra.azure.identity import Identities, IdentitiesArgs
from infra.azure.network import Network, NetworkArgs
from infra.azure.observability import Observability, ObservabilityArgs
from infra.azure.registry import Registry, RegistryArgs
from infra.azure.secrets import Secrets, SecretsArgs
from infra.azure.training import Training, TrainingArgs
from infra.contract import Endpoint, Foundation
from infra.core.component import StackContext


def create_foundation(context: StackContext) -> Foundation:
    """Declare the Azure resources of a stack, in the order of their dependencies."""
    settings = context.settings
    provider = Provider(
        "azure",
        location=settings.location,
        subscription_id=settings.subscription or None,
        tenant_id=settings.tenant or None,
    )
    opts = pulumi.ResourceOptions(providers=[provider])

    network = Network("network", NetworkArgs(context), opts)
    observability = Observability("observability", ObservabilityArgs(context, network), opts)
    secrets = Secrets("secrets", SecretsArgs(context, network), opts)
    registry = Registry("registry", RegistryArgs(context, network, secrets), opts)
    artifacts = Artifacts("artifacts", ArtifactsArgs(context, network, secrets), opts)
    database = Database("database", DatabaseArgs(context, network, secrets), opts)
    experiments = Experiments("experiments", ExperimentsArgs(context, network, secrets), opts)
    cluster = Cluster("cluster", ClusterArgs(context, network, observability, secrets, registry), opts)
    scopes = {
        Store.ARTIFACTS: artifacts.container_id,
        Store.REGISTRY: registry.id,
        Store.EXPERIMENTS: experiments.id,
    }
    identities = Identities(
        "identity",
        IdentitiesArgs(
            context,
            network,
            cluster.contract.oidc_issuer,
            scopes,
            experiments.account_name,
            experiments.containers,
        ),
        opts,
    )
    training = Training(
        "training",
        TrainingArgs(context, network, observability, secrets, registry, artifacts, identities),
        opts,
    )
    audit = Audit(
        "audit",
        AuditArgs(
            context, network, observability, secrets, registry, artifacts, database, experiments, cluster, training
        ),
        opts,
    )

    return Foundation(
        cluster=cluster.contract,
        registry=registry.contract,
        artifacts=artifacts.contract,
        tracking_db=database.contract,
        experiments=experiments.contract,
        secrets=secrets.contract,
        training=training.contract,
        telemetry=observability.contract,
        audit=audit.contract,
        identities=identities.contract,
        endpoints={
            # Storage, registry and Cosmos DB are reached at their private endpoints.
            Store.ARTIFACTS: Endpoint([network.blocks.endpoints], 443),
            Store.REGISTRY: Endpoint([network.blocks.endpoints], 443),
            Store.EXPERIMENTS: Endpoint([network.blocks.endpoints], 443),
            Store.TRACKING_DB: Endpoint([network.blocks.database], PORT),
        },
    )
