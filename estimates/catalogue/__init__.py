"""What each type is charged for: a module per cloud, and one for what a cluster creates in it."""

from estimates.catalogue import aws, azure, cluster

__all__ = ["aws", "azure", "cluster"]
