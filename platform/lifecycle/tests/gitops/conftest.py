"""The real parts that these tests share."""

from support.fixtures import gitops, remote

__all__ = ["gitops", "remote"]
