"""The real parts that these tests share."""

from support.fixtures import gitops, models, notifications, remote
from support.rollout_environment import environment

__all__ = ["environment", "gitops", "models", "notifications", "remote"]
