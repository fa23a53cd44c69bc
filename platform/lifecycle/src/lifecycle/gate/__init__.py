"""The gate: whether a model is good enough for production. Training and promotion both use it."""

from lifecycle.gate.evaluation import GateReport, evaluate_model, evaluate_version, log_report
from lifecycle.gate.scores import TARGET, score
from lifecycle.gate.settings import GateSettings

__all__ = ["TARGET", "GateReport", "GateSettings", "evaluate_model", "evaluate_version", "log_report", "score"]
