"""The program: settings -> foundation -> platform -> outputs."""

from __future__ import annotations

import pulumi

from infra import aws, azure, cluster, stack_config
from infra.component import Site
from infra.foundation import Foundation
from infra.naming import Naming
from infra.settings import Cloud

_CLOUDS = {Cloud.AZURE: azure.foundation, Cloud.AWS: aws.foundation}


def deploy() -> None:
    """Declare the whole stack. Raises pulumi.RunError when its settings are not valid."""
    settings = stack_config.load()
    site = Site(settings, Naming(settings))
    foundation = _CLOUDS[settings.cloud](site)
    cluster.platform(site, foundation)
    _export(foundation)


def _export(foundation: Foundation) -> None:
    # Flat: one secret in an object would make all of it secret (pulumi#17422).
    pulumi.export("cluster", foundation.cluster.name)
    pulumi.export("kubeconfig", foundation.cluster.kubeconfig)
    pulumi.export("oidcIssuer", foundation.cluster.oidc_issuer)
    pulumi.export("registry", foundation.registry.server)
    pulumi.export("artifacts", foundation.artifacts.uri)
    pulumi.export("trackingDatabase", foundation.tracking_db.host)
    pulumi.export("experiments", foundation.experiments.endpoint)
    pulumi.export("secrets", foundation.secrets.name)
    pulumi.export("training", foundation.training.name)
    pulumi.export("telemetry", foundation.telemetry.logs)
    pulumi.export("audit", foundation.audit.destination)
    pulumi.export("mlflow", cluster.MLFLOW_URL)
