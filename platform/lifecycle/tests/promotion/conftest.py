"""The real parts that these tests share."""

from promotion_parts import gitops, listener, models, remote

__all__ = ["gitops", "listener", "models", "remote"]
