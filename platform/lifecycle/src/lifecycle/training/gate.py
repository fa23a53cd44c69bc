"""The gate: may this model stand for production? All it needs it reads from MLflow, so any process can judge.

The challenger, and the champion if there is one, are loaded in the serving environment and predict the rows that the
challenger's run held out. How rows are parted keeps them unseen by any champion as well.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from lifecycle import contract
from lifecycle.contract import ContractError
from lifecycle.training.scores import score
from lifecycle.training.settings import GateSettings

if TYPE_CHECKING:
    from mlflow import MlflowClient

HELD_OUT = "evaluation/held-out.parquet"
SLICES = "evaluation/slices.json"
REPORT = "gate/report.json"
CHAMPION = "champion"

# What a run says of its model, and what the model then scores, differ by no more than rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class GateReport:
    """The verdict; `reasons` says what speaks against the model, and is empty when it passed.

    Metrics are those of `scores.score`, the champion's under `champion/`.
    """

    passed: bool
    reasons: list[str]
    metrics: Mapping[str, float]

    @property
    def tags(self) -> dict[str, str]:
        """What a run and a model version say of the verdict."""
        return {
            "groundwork.gate": "passed" if self.passed else "failed",
            "groundwork.gate_reasons": "; ".join(self.reasons)[:1000],
        }


def judge(client: MlflowClient, name: str, version: str, settings: GateSettings) -> GateReport:
    """Judge a registered version. Nothing is written; `record` does that.

    Raises UnreachableError when MLflow does not answer, LifecycleError when it knows no such version.
    """
    with contract.asking(client):
        registered = client.get_model_version(name, version)
    return judge_model(client, name, f"models:/{name}/{version}", str(registered.run_id or ""), settings)


def judge_model(client: MlflowClient, name: str, uri: str, run_id: str, settings: GateSettings) -> GateReport:
    """Judge a model, registered or not; `name` is the registered model whose champion it is held against."""
    with tempfile.TemporaryDirectory() as scratch:
        bench = _Bench(client, Path(scratch))
        try:
            bench.lay_out(run_id)
            metrics = bench.score(uri)
        except ContractError as error:
            return GateReport(False, [str(error)], {})
        reasons = [*_contradictions(client, run_id, metrics), *_shortfalls(metrics, settings)]
        champion = _champion(client, name)
        if champion and uri != champion:
            try:
                best = bench.score(champion)
            except ContractError as error:
                return GateReport(False, [*reasons, f"The champion cannot be compared with: {error}"], metrics)
            reasons += _setbacks(metrics, best, champion, settings.margin)
            metrics |= {f"champion/{key}": value for key, value in best.items()}
    return GateReport(not reasons, reasons, metrics)


def record(client: MlflowClient, run_id: str, report: GateReport) -> None:
    """Write the verdict where the run is: tags, and the artifact `gate/report.json`."""
    with contract.asking(client):
        client.log_dict(run_id, asdict(report), REPORT)
        for key, value in report.tags.items():
            client.set_tag(run_id, key, value)


class _Bench:
    """The held-out rows of one run, and models that predict them."""

    def __init__(self, client: MlflowClient, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self._contract = contract.load()

    def lay_out(self, run_id: str) -> None:
        """Bring the held-out rows. Raises ContractError when the run has none, or they cannot be read."""
        if not run_id:
            raise ContractError(
                "The model version names no run, so its held-out data is unknown. Register it from its run."
            )
        self._rows = contract.download(self._client, f"runs:/{run_id}/{HELD_OUT}", self._folder / "held-out")
        slices = contract.download(self._client, f"runs:/{run_id}/{SLICES}", self._folder / "slices")
        try:
            self._held_out = pd.read_parquet(self._rows)
            self._slices: list[str] = json.loads(slices.read_text())
        except (ValueError, OSError) as error:
            raise ContractError(f"The held-out data of run {run_id} cannot be read: {error}. Train again.") from None

    def score(self, uri: str) -> dict[str, float]:
        folder = contract.download(self._client, uri, self._folder / str(abs(hash(uri))))
        artifact = contract.admit(folder, self._contract)
        absent = sorted(set(artifact.inputs) - set(self._held_out.columns))
        if absent:
            raise ContractError(f"{uri} takes {', '.join(absent)}, which the held-out data does not have.")
        predictions = contract.predict(artifact, self._contract, contract.Settings(), self._rows)
        return score(self._held_out, predictions, self._slices)


def _champion(client: MlflowClient, name: str) -> str | None:
    with contract.asking(client):
        found = client.search_registered_models(filter_string=f"name = '{name}'")
    version = found[0].aliases.get(CHAMPION) if found else None
    return f"models:/{name}/{version}" if version else None


def _contradictions(client: MlflowClient, run_id: str, metrics: Mapping[str, float]) -> list[str]:
    """Where the run's own metrics are not what the model scores: then it is not the model that was evaluated."""
    with contract.asking(client):
        claimed = client.get_run(run_id).data.metrics
    return [
        f"{key} is {value:.4f} where it will serve, the run says {claimed[key]:.4f}: not the model that was evaluated"
        for key, value in metrics.items()
        if key in claimed and abs(claimed[key] - value) > _ROUNDING
    ]


def _shortfalls(metrics: Mapping[str, float], settings: GateSettings) -> list[str]:
    thresholds = {"accuracy": settings.min_accuracy, "recall": settings.min_recall}
    return [
        f"{key} is {metrics[key]:.4f}, the threshold is {least:g}"
        for key, least in thresholds.items()
        if metrics[key] < least
    ]


def _setbacks(metrics: Mapping[str, float], best: Mapping[str, float], champion: str, margin: float) -> list[str]:
    compared = [key for key in best if key in ("accuracy", "recall") or "/" in key]
    return [
        f"{key} is {metrics[key]:.4f}, the champion's ({champion}) {best[key]:.4f}: more than {margin:g} above"
        for key in compared
        if metrics[key] < best[key] - margin - _ROUNDING
    ]
