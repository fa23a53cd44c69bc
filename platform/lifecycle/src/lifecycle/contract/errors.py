"""The contract's error."""

from __future__ import annotations

from lifecycle.core import ArtifactError


class ContractError(ArtifactError):
    """A model that the serving environment cannot, or must not, load. Trying again does not help."""
