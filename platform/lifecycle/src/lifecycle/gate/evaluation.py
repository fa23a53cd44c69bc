"""Evaluates a model against thresholds and against the champion.

All inputs come from MLflow, so any process can evaluate. The challenger, and the champion if there is one, are loaded
in the serving environment and predict the rows that the challenger's run held out. The split assigns a row by its
content, so no champion was trained on these rows either.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from lifecycle import contract
from lifecycle.core import CHAMPION, ArtifactError, LifecycleError, ModelRegistry
from lifecycle.core.errors import is_transient
from lifecycle.core.names import GATE_REASONS_TAG, GATE_REPORT_PATH, GATE_TAG, HELD_OUT_PATH, SLICES_PATH
from lifecycle.gate.scores import ScoringError, score
from lifecycle.gate.settings import GateSettings

# The metrics that a run logged and the loaded model's metrics differ at most by rounding.
_ROUNDING = 1e-6
_MAX_TAG = 1000  # characters


@dataclass(frozen=True)
class GateReport:
    """The outcome of an evaluation; `reasons` says why the model failed, and is empty if it passed.

    `metrics` are from `scores.score`; the champion's have the prefix `champion/`.
    """

    passed: bool
    reasons: list[str]
    metrics: Mapping[str, float]

    @property
    def tags(self) -> dict[str, str]:
        """The outcome as MLflow tags of a run or a model version."""
        return {
            GATE_TAG: "passed" if self.passed else "failed",
            GATE_REASONS_TAG: "; ".join(self.reasons)[:_MAX_TAG],
        }


def evaluate_version(registry: ModelRegistry, model: str, version: str, settings: GateSettings) -> GateReport:
    """Evaluate a registered version. Nothing is written; `log_report` does that.

    Raises UnreachableError if MLflow does not answer, LifecycleError if it has no such version.
    """
    registered = registry.find_version(model, version)
    if registered is None:
        raise LifecycleError(f"MLflow at {registry.uri} has no version {version} of {model}. Register it first.")
    model_version = registered.model_version
    return evaluate_model(registry, model, model_version.uri, model_version.lineage.run_id, settings)


def evaluate_model(registry: ModelRegistry, model: str, uri: str, run_id: str, settings: GateSettings) -> GateReport:
    """Evaluate the model at `uri`, registered or not, against the champion of the registered model `model`."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            held_out = _HeldOutData(registry, run_id, Path(scratch))
            metrics = held_out.score(uri)
        except (ArtifactError, ScoringError) as error:
            return GateReport(False, [str(error)], {})
        reasons = [*_contradictions(registry, run_id, metrics), *_shortfalls(metrics, settings)]
        champion = registry.find_by_alias(model, CHAMPION)
        if champion is not None and champion.model_version.uri != uri:
            champion_uri = champion.model_version.uri
            try:
                champion_metrics = held_out.score(champion_uri)
            except (ArtifactError, ScoringError) as error:
                return GateReport(False, [*reasons, f"The champion cannot be compared with: {error}"], metrics)
            reasons += _regressions(metrics, champion_metrics, champion_uri, settings.margin)
            metrics |= {f"{CHAMPION}/{key}": value for key, value in champion_metrics.items()}
    return GateReport(not reasons, reasons, metrics)


def log_report(registry: ModelRegistry, run_id: str, report: GateReport) -> None:
    """Write the report to the run: its tags, and the artifact `gate/report.json`."""
    with registry.translate_errors():
        registry.client.log_dict(run_id, asdict(report), GATE_REPORT_PATH)
        for key, value in report.tags.items():
            registry.client.set_tag(run_id, key, value)


class _HeldOutData:
    """The rows that a run held out, and the scores of models on them."""

    def __init__(self, registry: ModelRegistry, run_id: str, folder: Path) -> None:
        """Download the rows. Raises ArtifactError if the run has none, or they are unreadable."""
        if not run_id:
            raise ArtifactError(
                "The model version has no run, so its held-out data is unknown. Register it from its run."
            )
        import pandas as pd  # takes a second to import, and the receiver of webhooks does not need it

        self._registry = registry
        self._folder = folder
        self._contract = contract.load()
        self._path = registry.download(f"runs:/{run_id}/{HELD_OUT_PATH}", folder / "held-out")
        slices = registry.download(f"runs:/{run_id}/{SLICES_PATH}", folder / "slices")
        try:
            self._rows = pd.read_parquet(self._path)
            self._slices: list[str] = json.loads(slices.read_text())
        except (ValueError, OSError) as error:
            if is_transient(error):
                raise
            raise ArtifactError(f"The held-out data of run {run_id} is unreadable: {error}. Train again.") from None
        if not isinstance(self._slices, list):
            raise ArtifactError(f"{SLICES_PATH} of run {run_id} is not a list of columns. Train again.")

    def score(self, uri: str) -> dict[str, float]:
        """Load a model in the serving environment and score its predictions. Raises ArtifactError."""
        folder = self._registry.download(uri, self._folder / str(abs(hash(uri))))
        artifact = contract.admit(folder, self._contract)
        missing = sorted(set(artifact.inputs) - set(self._rows.columns))
        if missing:
            raise ArtifactError(f"{uri} has the inputs {', '.join(missing)}, which the held-out data does not have.")
        predictions = contract.predict(artifact, self._contract, contract.ContractSettings(), self._path)
        return score(self._rows, predictions, self._slices)


def _contradictions(registry: ModelRegistry, run_id: str, metrics: Mapping[str, float]) -> list[str]:
    """The metrics that differ from those the run logged: then the model is not the one that the run evaluated."""
    with registry.translate_errors():
        logged = registry.client.get_run(run_id).data.metrics
    return [
        f"{key} is {value:.4f} in the serving environment, the run logged {logged[key]:.4f}: not the model "
        "that the run evaluated"
        for key, value in metrics.items()
        if key in logged and abs(logged[key] - value) > _ROUNDING
    ]


def _shortfalls(metrics: Mapping[str, float], settings: GateSettings) -> list[str]:
    thresholds = {"accuracy": settings.min_accuracy, "recall": settings.min_recall}
    return [
        f"{key} is {metrics[key]:.4f}, the threshold is {threshold:g}"
        for key, threshold in thresholds.items()
        if metrics[key] < threshold
    ]


def _regressions(
    metrics: Mapping[str, float], champion_metrics: Mapping[str, float], champion: str, margin: float
) -> list[str]:
    compared = [key for key in champion_metrics if key in ("accuracy", "recall") or "/" in key]
    return [
        f"{key} is {metrics[key]:.4f}, the champion's ({champion}) is {champion_metrics[key]:.4f}: lower by more than "
        f"{margin:g}"
        for key in compared
        if metrics[key] < champion_metrics[key] - margin - _ROUNDING
    ]
