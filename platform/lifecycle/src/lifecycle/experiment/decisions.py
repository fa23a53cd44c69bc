"""From verdicts to decisions: an analysis's verdict on a challenger is written to its version in the registry.

The rollout acts on it: after `promote` it continues, after `stop` it rolls back, and both are final. Any other verdict
is written if its reasons change, other than in their figures, so that people see what is missing.
"""

from __future__ import annotations

import logging
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lifecycle.core import (
    Action,
    LifecycleError,
    ModelRegistry,
    Notification,
    Notifier,
    Participation,
    Participations,
)
from lifecycle.core.names import EXPERIMENTS_PATH
from lifecycle.core.participations import shorten
from lifecycle.experiment import report
from lifecycle.experiment.analysis import Analysis, analyse
from lifecycle.experiment.store import Store
from lifecycle.gitops.experiments import Experiment

_FIGURE = re.compile(r"[-+]?\d[\d.,]*")

_log = logging.getLogger(__name__)


class DecisionError(LifecycleError):
    """Some experiments could not be decided on; their own messages say why."""


class Decider:
    """Decides on the challengers of one stack."""

    def __init__(
        self,
        stack: str,
        store: Store,
        registry: ModelRegistry,
        notifier: Notifier,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stack = stack
        self._store = store
        self._registry = registry
        self._participations = Participations(registry)
        self._notifier = notifier
        self._clock = clock

    def decide(self, experiment: Experiment) -> str:
        """Analyse a running experiment, and write the decision; returns a message for people.

        The report and the notification come before the decision: an attempt that fails in between is repeated.
        Raises RegistryError, StoreError.
        """
        if experiment.criteria is None:
            return "no criteria, so people decide"
        found = self._participations.find_latest(experiment.model, experiment.name)
        if found is None or not found.is_current:  # none yet, or its rollout is over
            return f"no challenger of {experiment.model} takes part; a rollout enters one when its service answers"
        if found.is_decided and found.decision is not None:
            return f"{found.decision.action}, as decided for version {found.version}: {found.decision.reasons}"
        until = self._clock()
        results = self._store.read_results(experiment.name)
        analysis = analyse(results, experiment, experiment.criteria, until, since=found.since)
        self._write(found, analysis)
        verdict = analysis.findings.verdict
        return f"{verdict.action} for version {found.version}: {' '.join(verdict.reasons)}"

    def _write(self, participation: Participation, analysis: Analysis) -> None:
        verdict = analysis.findings.verdict
        is_final = verdict.action in (Action.PROMOTE, Action.STOP)
        if not is_final and _is_unchanged(participation, analysis):
            return
        self._log_report(participation, analysis)
        if is_final:
            self._notify(participation, analysis)
        self._participations.decide(participation, verdict.action, verdict.reasons, analysis.until)

    def _log_report(self, participation: Participation, analysis: Analysis) -> None:
        """Log the report to the version's run, with its other artifacts; a version without a run has no report."""
        version = self._registry.find_version(participation.model, participation.version)
        run_id = version.model_version.lineage.run_id if version else ""
        if not run_id:
            _log.warning("%s version %s has no run for the report", participation.model, participation.version)
            return
        folder = f"{EXPERIMENTS_PATH}/{participation.experiment}"
        with tempfile.TemporaryDirectory() as scratch:
            for path in report.write(analysis, Path(scratch)):
                with self._registry.translate_errors():
                    self._registry.client.log_artifact(run_id, str(path), folder)

    def _notify(self, participation: Participation, analysis: Analysis) -> None:
        version = self._registry.find_version(participation.model, participation.version)
        if version is None:
            return
        verdict = analysis.findings.verdict
        details = [f"decided by the experiment {participation.experiment}", *verdict.reasons]
        self._notifier.send(Notification(version.model_version, self._stack, verdict.action, details))


def _is_unchanged(participation: Participation, analysis: Analysis) -> bool:
    """Whether the last decision differs from this one in figures only."""
    last, verdict = participation.decision, analysis.findings.verdict
    if last is None or last.action is not verdict.action:
        return False
    return _FIGURE.sub("", last.reasons) == _FIGURE.sub("", shorten(verdict.reasons))
