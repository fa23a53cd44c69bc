"""Groundwork's foundation on Azure."""

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
from infra.component import Site
from infra.foundation import Endpoint, Foundation


def foundation(site: Site) -> Foundation:
    """Declare the Azure side of a stack."""
    provider = Provider("azure", location=site.settings.location)
    opts = pulumi.ResourceOptions(providers=[provider])

    network = Network("network", NetworkArgs(site), opts)
    observability = Observability("observability", ObservabilityArgs(site, network), opts)
    secrets = Secrets("secrets", SecretsArgs(site, network), opts)
    registry = Registry("registry", RegistryArgs(site, network, secrets), opts)
    artifacts = Artifacts("artifacts", ArtifactsArgs(site, network, secrets), opts)
    database = Database("database", DatabaseArgs(site, network, secrets), opts)
    experiments = Experiments("experiments", ExperimentsArgs(site, network, secrets), opts)
    cluster = Cluster("cluster", ClusterArgs(site, network, observability, secrets, registry), opts)
    scopes = {
        Store.ARTIFACTS: artifacts.container,
        Store.REGISTRY: registry.id,
        Store.EXPERIMENTS: experiments.id,
    }
    identities = Identities(
        "identity",
        IdentitiesArgs(site, network, cluster.part.oidc_issuer, scopes, experiments.account),
        opts,
    )
    training = Training(
        "training",
        TrainingArgs(site, network, observability, secrets, registry, artifacts, identities),
        opts,
    )
    audit = Audit(
        "audit",
        AuditArgs(site, network, observability, secrets, registry, artifacts, database, experiments, cluster, training),
        opts,
    )

    return Foundation(
        cluster=cluster.part,
        registry=registry.part,
        artifacts=artifacts.part,
        tracking_db=database.part,
        experiments=experiments.part,
        secrets=secrets.part,
        training=training.part,
        telemetry=observability.part,
        audit=audit.part,
        identities=identities.part,
        endpoints={
            # Storage, registry and Cosmos DB answer at their private endpoints.
            Store.ARTIFACTS: Endpoint([network.blocks.endpoints], 443),
            Store.REGISTRY: Endpoint([network.blocks.endpoints], 443),
            Store.EXPERIMENTS: Endpoint([network.blocks.endpoints], 443),
            Store.TRACKING_DB: Endpoint([network.blocks.database], PORT),
        },
    )
