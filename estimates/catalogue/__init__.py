"""What each type is charged for: a module per cloud, and one for resources that a cluster creates in the cloud."""

from estimates.catalogue import aws, azure, cluster

__all__ = ["aws", "azure", "cluster"]
