"""The platform in the cluster, on whichever cloud the foundation was created."""

from infra.cluster.mlflow import URL as MLFLOW_URL
from infra.cluster.platform import create_platform

__all__ = ["MLFLOW_URL", "create_platform"]
