"""Groundwork's foundation on AWS."""

from __future__ import annotations

import pulumi
from pulumi_aws import Provider, get_caller_identity_output

from infra.aws.artifacts import Artifacts, ArtifactsArgs
from infra.aws.audit import Audit, AuditArgs
from infra.aws.cluster import Cluster, ClusterArgs
from infra.aws.database import Database, DatabaseArgs
from infra.aws.experiments import Experiments, ExperimentsArgs
from infra.aws.identity import Identities, IdentitiesArgs
from infra.aws.network import Network, NetworkArgs
from infra.aws.observability import Observability, ObservabilityArgs
from infra.aws.registry import Registry, RegistryArgs
from infra.aws.secrets import Secrets, SecretsArgs
from infra.aws.training import Training, TrainingArgs
from infra.component import Site
from infra.foundation import Foundation


def foundation(site: Site) -> Foundation:
    """Declare the AWS side of a stack."""
    provider = Provider("aws", region=site.settings.location)
    opts = pulumi.ResourceOptions(providers=[provider])
    account = get_caller_identity_output(opts=pulumi.InvokeOutputOptions(provider=provider)).account_id

    network = Network("network", NetworkArgs(site), opts)
    observability = Observability("observability", ObservabilityArgs(site, account), opts)
    secrets = Secrets("secrets", SecretsArgs(site, account), opts)
    registry = Registry("registry", RegistryArgs(site, secrets), opts)
    artifacts = Artifacts("artifacts", ArtifactsArgs(site, secrets), opts)
    database = Database("database", DatabaseArgs(site, network, observability, secrets), opts)
    experiments = Experiments("experiments", ExperimentsArgs(site, secrets), opts)
    cluster = Cluster("cluster", ClusterArgs(site, network, observability, secrets), opts)
    identities = Identities("identity", IdentitiesArgs(site, secrets, registry, artifacts, experiments, cluster), opts)
    training = Training("training", TrainingArgs(site, account, network, secrets, identities), opts)
    audit = Audit("audit", AuditArgs(site, account, network, observability, artifacts, experiments), opts)

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
        endpoints=network.endpoints,
    )
