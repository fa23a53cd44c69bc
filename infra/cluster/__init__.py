"""The platform in the cluster, on the foundation of any cloud."""

from infra.cluster.mlflow import URL as MLFLOW_URL
from infra.cluster.platform import create_platform

__all__ = ["MLFLOW_URL", "create_platform"]
