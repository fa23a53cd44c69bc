"""The foundation on AWS."""

from __future__ import annotations

import pulumi
from pulumi_aws import Provider, get_caller_identity_output

from infra.aws.alerts import Alerts, AlertsArgs
from infra.aws.artifacts import Artifacts, ArtifactsArgs
from infra.aws.audit import Audit, AuditArgs
from infra.aws.budget import Budget, BudgetArgs
from infra.aws.cluster import Cluster, ClusterArgs
from infra.aws.database import Database, DatabaseArgs
from infra.aws.experiments import Experiments, ExperimentsArgs
from infra.aws.identity import Identities, IdentitiesArgs
from infra.aws.karpenter import Karpenter, KarpenterArgs
from infra.aws.load_balancing import LoadBalancing, LoadBalancingArgs
from infra.aws.network import Network, NetworkArgs
from infra.aws.observability import Observability, ObservabilityArgs
from infra.aws.queries import Queries, QueriesArgs
from infra.aws.registry import Registry, RegistryArgs
from infra.aws.secrets import Secrets, SecretsArgs
from infra.aws.telemetry_stores import TelemetryStores, TelemetryStoresArgs
from infra.aws.training import Training, TrainingArgs
from infra.contract import Foundation
from infra.core.component import StackContext


def create_foundation(context: StackContext) -> Foundation:
    """Declare the AWS resources of a stack, in the order of their dependencies."""
    settings = context.settings
    provider = Provider(
        "aws", region=settings.location, allowed_account_ids=[settings.account] if settings.account else None
    )
    opts = pulumi.ResourceOptions(providers=[provider])
    account = get_caller_identity_output(opts=pulumi.InvokeOutputOptions(provider=provider)).account_id

    network = Network("network", NetworkArgs(context), opts)
    observability = Observability("observability", ObservabilityArgs(context, account), opts)
    secrets = Secrets("secrets", SecretsArgs(context, account), opts)
    registry = Registry("registry", RegistryArgs(context, secrets), opts)
    artifacts = Artifacts("artifacts", ArtifactsArgs(context, secrets), opts)
    telemetry_stores = TelemetryStores("telemetry", TelemetryStoresArgs(context, secrets), opts)
    database = Database("database", DatabaseArgs(context, network, observability, secrets), opts)
    experiments = Experiments("experiments", ExperimentsArgs(context, secrets), opts)
    cluster = Cluster("cluster", ClusterArgs(context, network, observability, secrets), opts)
    identities = Identities(
        "identity",
        IdentitiesArgs(context, secrets, registry, artifacts, telemetry_stores, experiments, cluster),
        opts,
    )
    karpenter = Karpenter("karpenter", KarpenterArgs(context, account, network, secrets, cluster), opts)
    load_balancing = LoadBalancing("load-balancing", LoadBalancingArgs(context, account, network, cluster), opts)
    training = Training("training", TrainingArgs(context, account, network, secrets, identities), opts)
    audit = Audit("audit", AuditArgs(context, account, network, observability, artifacts, experiments), opts)
    Queries("queries", QueriesArgs(context, network, database, cluster, audit), opts)
    Alerts("alerts", AlertsArgs(context, network, observability, database, cluster, audit), opts)
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
        telemetry=cluster.telemetry_contract,
        telemetry_stores=telemetry_stores.contract,
        audit=audit.contract,
        identities=identities.contract,
        endpoints=network.endpoints,
        karpenter=karpenter.contract,
        load_balancer_controller=load_balancing.contract,
    )
