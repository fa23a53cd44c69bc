"""The foundation on Azure."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pulumi_azure_native import Provider

from infra.access import Store
from infra.azure.alerts import Alerts, AlertsArgs
from infra.azure.artifacts import Artifacts, ArtifactsArgs
from infra.azure.audit import Audit, AuditArgs
from infra.azure.budget import Budget, BudgetArgs
from infra.azure.cluster import Cluster, ClusterArgs
from infra.azure.database import PORT, Database, DatabaseArgs
from infra.azure.experiments import DATABASE as EXPERIMENTS_DATABASE
from infra.azure.experiments import Experiments, ExperimentsArgs
from infra.azure.identity import Identities, IdentitiesArgs
from infra.azure.network import Network, NetworkArgs
from infra.azure.observability import Observability, ObservabilityArgs
from infra.azure.queries import Queries, QueriesArgs
from infra.azure.registry import Registry, RegistryArgs
from infra.azure.secrets import Secrets, SecretsArgs
from infra.azure.telemetry_stores import LOGS, TRACES, TelemetryStores, TelemetryStoresArgs
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
    telemetry_stores = TelemetryStores("telemetry", TelemetryStoresArgs(context, network, secrets), opts)
    database = Database("database", DatabaseArgs(context, network, secrets), opts)
    experiments = Experiments("experiments", ExperimentsArgs(context, network, secrets), opts)
    cluster = Cluster("cluster", ClusterArgs(context, network, observability, secrets, registry), opts)
    scopes = {
        Store.ARTIFACTS: artifacts.container_id,
        Store.INFERENCES: artifacts.inferences_id,
        Store.REGISTRY: registry.id,
        Store.EXPERIMENTS: experiments.id,
        Store.SECRETS: secrets.vault_id,
        Store.LOGS: telemetry_stores.container_id(LOGS),
        Store.TRACES: telemetry_stores.container_id(TRACES),
    }
    identities = Identities(
        "identity",
        IdentitiesArgs(
            context,
            network,
            cluster.contract.oidc_issuer,
            scopes,
            experiments.account_name,
            EXPERIMENTS_DATABASE,
            experiments.containers,
        ),
        opts,
    )
    training = Training(
        "training",
        TrainingArgs(context, network, observability, secrets, registry, artifacts, experiments, identities),
        opts,
    )
    audit = Audit(
        "audit",
        AuditArgs(
            context,
            network,
            observability,
            secrets,
            registry,
            artifacts,
            telemetry_stores,
            database,
            experiments,
            cluster,
            training,
        ),
        opts,
    )
    Queries("queries", QueriesArgs(context, network, observability), opts)
    Alerts("alerts", AlertsArgs(context, network, observability, secrets, database, cluster), opts)
    Budget("budget", BudgetArgs(context), opts)

    return Foundation(
        cluster=cluster.contract,
        registry=registry.contract,
        artifacts=artifacts.contract,
        inferences=artifacts.inferences_contract,
        tracking_db=database.tracking_contract,
        lifecycle_db=database.lifecycle_contract,
        experiments=experiments.contract,
        secrets=secrets.contract,
        training=training.contract,
        telemetry=observability.contract,
        telemetry_stores=telemetry_stores.contract,
        audit=audit.contract,
        identities=identities.contract,
        endpoints=_list_endpoints(network),
        karpenter=None,
        load_balancer_controller=None,
    )


def _list_endpoints(network: Network) -> Mapping[Store, Endpoint]:
    """Databases are in their own subnet; storage, registry, Cosmos DB and vault have private endpoints."""
    database = Endpoint([network.blocks.database], PORT)
    databases = {Store.TRACKING_DB: database, Store.LIFECYCLE_DB: database}
    return {store: databases.get(store, Endpoint([network.blocks.endpoints], 443)) for store in Store}
