"""The program: settings, foundation, platform, outputs."""

from __future__ import annotations

import pulumi

from infra import cluster
from infra.contract import Foundation
from infra.core import stack_config
from infra.core.component import StackContext
from infra.core.deployed_settings import DeployedSettings
from infra.core.naming import Naming
from infra.core.settings import Cloud


def deploy() -> None:
    """Declare the whole stack. Raises pulumi.RunError if its settings are invalid."""
    settings = stack_config.load()
    context = StackContext(settings, Naming(settings, pulumi.get_stack()))
    foundation = _create_foundation(context)
    cluster.create_platform(context, foundation)
    outputs = _list_outputs(context, foundation)
    for name, value in outputs.items():
        pulumi.export(name, value)
    DeployedSettings(context, list(outputs.values()))


def _create_foundation(context: StackContext) -> Foundation:
    # Imported here because a cloud's SDK takes a second or two to load (measured), and a stack needs only one of them.
    if context.settings.cloud is Cloud.AZURE:
        from infra.azure import create_foundation
    else:
        from infra.aws import create_foundation
    return create_foundation(context)


def _list_outputs(context: StackContext, foundation: Foundation) -> dict[str, pulumi.Output[str] | str]:
    # Flat, because one secret in an object makes the whole object a secret (pulumi#17422).
    return {
        "cluster": foundation.cluster.name,
        "kubeconfig": foundation.cluster.kubeconfig,
        "oidcIssuer": foundation.cluster.oidc_issuer,
        "registry": foundation.registry.server,
        "artifacts": foundation.artifacts.uri,
        "trackingDatabase": foundation.tracking_db.host,
        "experiments": foundation.experiments.endpoint,
        "secrets": foundation.secrets.name,
        "training": foundation.training.name,
        "telemetry": foundation.telemetry.logs,
        "audit": foundation.audit.destination,
        "mlflow": cluster.MLFLOW_URL,
        "domain": context.naming.domain,
    }
