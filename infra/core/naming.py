"""Names and tags.

Logical names (what Pulumi calls a resource) are short and never change. Physical names (what the cloud calls
it) carry organization, environment and location, and obey each service's own limits.
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
        """What every resource that can carry tags carries."""
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
        """`acme-gw-dev`: what a person looks for in the console."""
        return f"{self._settings.organization}-gw-{self._settings.environment}"

    def regional_name(self, part: str, *, limit: int = 63) -> str:
        """A name unique in its account or resource group: `acme-gw-dev-<part>`.

        Raises ValueError when it would be longer than `limit` characters.
        """
        return _within(f"{self.prefix}-{part}", limit)

    def global_name(self, part: str, *, limit: int = 63, hyphens: bool = True) -> str:
        """A name unique among all customers of the cloud: a short digest of stack and location is appended.

        `hyphens=False` leaves letters and digits only, for storage accounts and registries.
        Raises ValueError when it would be longer than `limit` characters.
        """
        settings = self._settings
        seed = f"{settings.organization}/{settings.stack}/{settings.location}/{part}"
        digest = hashlib.sha256(seed.encode()).hexdigest()[:_DIGEST_LENGTH]
        name = f"{self.prefix}-{part}-{digest}"
        return _within(name if hyphens else name.replace("-", ""), limit)


def _within(name: str, limit: int) -> str:
    if len(name) > limit:
        raise ValueError(f"name '{name}' has {len(name)} characters, the service allows {limit}")
    return name
