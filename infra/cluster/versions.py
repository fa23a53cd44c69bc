"""The versions of what is installed from elsewhere: charts as charts.yaml pins them, and images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Chart:
    """A Helm chart at one version, and the repository it is published in.

    digest  the SHA-256 of its package in hexadecimal. A Release resource has no place for it: the rehearsal, which
            reads charts.yaml itself, checks what it pulls; a real deployment does not
    """

    name: str
    version: str
    repository: str
    digest: str


_PINNED = yaml.safe_load(Path(__file__).with_name("charts.yaml").read_text())


def _pinned(name: str) -> Chart:
    return Chart(name, **_PINNED[name])


KUBE_PROMETHEUS_STACK = _pinned("kube-prometheus-stack")
MLFLOW = _pinned("mlflow")

# The server that this version of the chart ships; pinned beside it so that a chart update shows what it changes.
MLFLOW_IMAGE_TAG = "3.15.1"
