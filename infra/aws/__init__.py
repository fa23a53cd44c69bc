"""The foundation on AWS."""

from infra.aws.foundation import create_foundation

__all__ = ["create_foundation"]
