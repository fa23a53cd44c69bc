"""All dashboards, as the JSON that Grafana's sidecar provisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from observability.dashboards import cluster, feedback, lifecycle, models
from observability.dashboards.layout import Board, render

BOARDS: Sequence[Board] = (
    cluster.OVERVIEW,
    cluster.CAPACITY,
    cluster.COST,
    models.SERVING,
    models.SLO,
    lifecycle.TRAINING,
    lifecycle.MLFLOW,
    lifecycle.ARGO_CD,
    lifecycle.ROLLOUTS,
    feedback.EXPERIMENTS,
    feedback.DRIFT,
)


def render_dashboards() -> Mapping[str, str]:
    """The JSON of each dashboard, keyed by UID, which is its path in Grafana: /d/<uid>."""
    return {board.uid: render(board) for board in BOARDS}
