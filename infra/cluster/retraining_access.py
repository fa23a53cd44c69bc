"""How clients reach the service that retrains models: its address, its token, and the alerts that it acts on."""

from __future__ import annotations

from collections.abc import Sequence

from infra.access import RETRAINING
from infra.core.settings import Settings

PORT = 8080
URL = f"http://{RETRAINING.name}.{RETRAINING.namespace}.svc.cluster.local"
TOKEN_SECRET = "retraining-token"  # noqa: S105 the Secret's name, in each namespace whose pods ask for runs
TOKEN_KEY = "retraining_token"  # noqa: S105 its key, which is the name of the file that the service reads

# The alerts of platform/alerts/models.yaml that retraining a model may resolve.
ALERTS: Sequence[str] = ("ModelDrifted", "ModelAccuracyDropped")


def find_missing_setting(settings: Settings) -> str:
    """The name in `images` that retraining needs and that is not set; empty if all are, or nothing is retrained."""
    if not settings.retraining.models:
        return ""
    images = {"promotion": settings.images.promotion, "training": settings.images.training}
    return next((name for name, digest in images.items() if not digest), "")


def is_deployed(settings: Settings) -> bool:
    return bool(settings.retraining.models) and not find_missing_setting(settings)
