"""The foundation on Azure."""

from infra.azure.foundation import create_foundation

__all__ = ["create_foundation"]
