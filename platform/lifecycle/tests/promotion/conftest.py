"""The real parts that these tests share."""

from support.fixtures import gitops, inbox, models, notifications, remote

__all__ = ["gitops", "inbox", "models", "notifications", "remote"]
