"""Physical names and tags.

Logical names, by which Pulumi identifies a resource, are short and never change. Physical names, by which the cloud
identifies it, contain organization and environment and have to comply with the limits of each service.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from infra.core.settings import Settings

# Source of the limits: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
# and https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_DIGEST_LENGTH = 5


class Naming:
    """Physical names and tags of one stack."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags of every resource that supports tags."""
        settings = self._settings
        return {
            "project": "groundwork",
            "stack": settings.stack,
            "environment": settings.environment.value,
            "organization": settings.organization,
            "owner": settings.owner,
            "cost-center": settings.cost_center,
            "managed-by": "pulumi",
        }

    @property
    def prefix(self) -> str:
        """The start of all physical names: `acme-gw-dev`."""
        return f"{self._settings.organization}-gw-{self._settings.environment}"

    def regional_name(self, suffix: str, *, limit: int = 63) -> str:
        """A name unique in its account or resource group: `acme-gw-dev-<suffix>`.

        Raises ValueError if it is longer than `limit` characters.
        """
        return _check_length(f"{self.prefix}-{suffix}", limit)

    def global_name(self, suffix: str, *, limit: int = 63, hyphens: bool = True) -> str:
        """A globally unique name: `acme-gw-dev-<suffix>-<digest>`, with a digest of organization, stack and location.

        `hyphens=False` removes hyphens, which storage accounts and registries do not allow.
        Raises ValueError if it is longer than `limit` characters.
        """
        settings = self._settings
        seed = f"{settings.organization}/{settings.stack}/{settings.location}/{suffix}"
        digest = hashlib.sha256(seed.encode()).hexdigest()[:_DIGEST_LENGTH]
        name = f"{self.prefix}-{suffix}-{digest}"
        return _check_length(name if hyphens else name.replace("-", ""), limit)


def _check_length(name: str, limit: int) -> str:
    if len(name) > limit:
        raise ValueError(f"name '{name}' has {len(name)} characters, the service allows {limit}")
    return name
