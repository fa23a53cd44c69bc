"""The only place where a chart's or an image's version stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chart:
    """A Helm chart at one version, and the repository it is published in."""

    name: str
    version: str
    repository: str


KUBE_PROMETHEUS_STACK = Chart("kube-prometheus-stack", "88.5.3", "https://prometheus-community.github.io/helm-charts")
MLFLOW = Chart("mlflow", "1.11.5", "https://community-charts.github.io/helm-charts")

# The server that this version of the chart ships; pinned beside it so that a chart update shows what it changes.
MLFLOW_IMAGE_TAG = "3.15.1"
