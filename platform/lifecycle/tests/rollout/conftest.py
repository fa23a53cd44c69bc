"""The real parts that these tests share."""

from promotion_parts import gitops, listener, models, remote

from .stage import stage

__all__ = ["gitops", "listener", "models", "remote", "stage"]
