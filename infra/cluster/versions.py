"""Versions of charts, as charts.yaml pins them, and of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Chart:
    """A version of a Helm chart, and the repository that publishes it.

    digest  SHA-256 of the package, in hexadecimal. Release resources cannot state it, so that only the rehearsal, which
            reads charts.yaml, verifies what it pulls
    """

    name: str
    version: str
    repository: str
    digest: str


_CHARTS = yaml.safe_load(Path(__file__).with_name("charts.yaml").read_text())


def _get_chart(name: str) -> Chart:
    return Chart(name, **_CHARTS[name])


ALLOY = _get_chart("alloy")
ARGO_CD = _get_chart("argo-cd")
KUBE_PROMETHEUS_STACK = _get_chart("kube-prometheus-stack")
LOKI = _get_chart("loki")
MLFLOW = _get_chart("mlflow")
TEMPO = _get_chart("tempo")

# The chart's default, pinned here so that an update of the chart shows when it changes.
MLFLOW_IMAGE_TAG = "3.15.1"
# Newer than the chart's own v3.4.4: the nearest version whose controllers a rehearsal can build and run
# (third_party/go/argo-cd). Both have the same custom resource definitions.
ARGO_CD_IMAGE_TAG = "v3.4.6"
