"""The program: settings, foundation, platform, outputs."""

from __future__ import annotations

import pulumi

from infra import aws, azure, cluster
from infra.contract import Foundation
from infra.core import stack_config
from infra.core.component import StackContext
from infra.core.naming import Naming
from infra.core.settings import Cloud

_CREATE_FOUNDATION = {Cloud.AZURE: azure.create_foundation, Cloud.AWS: aws.create_foundation}


def deploy() -> None:
    """Declare the whole stack. Raises pulumi.RunError if its settings are invalid."""
    settings = stack_config.load()
    context = StackContext(settings, Naming(settings, pulumi.get_stack()))
    foundation = _CREATE_FOUNDATION[settings.cloud](context)
    cluster.create_platform(context, foundation)
    _export_outputs(foundation)
    # What the next deployment is compared with, see infra/core/settings/changes.py.
    pulumi.export("settings", settings.dump())


def _export_outputs(foundation: Foundation) -> None:
    # Flat, because one secret in an object makes the whole object a secret (pulumi#17422).
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
