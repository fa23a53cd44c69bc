"""A stage of the scenario: the users' measurements change, the drift check detects it, and a new champion serves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from rehearsal.console import UserError, info
from rehearsal.scenarios import drift_steps, model_registry, model_steps
from rehearsal.scenarios.environment import ScenarioEnvironment
from rehearsal.scenarios.model_steps import Traffic
from rehearsal.scenarios.rollout_stage import check_consistency, promote, show_rollout
from rehearsal.scenarios.step_runner import StepRunner

_DRIFT, _NO_DRIFT = "drift", "no drift"  # outcomes of a check
_USUAL_ROWS, _OTHER_ROWS = 1500, 2000  # inferences of a check; DRIFT_MIN_ROWS is 500
_TARGET = 300.0  # seconds from a window in which the change can be found until the new champion serves
_SHOWN_COLUMNS = 4


@dataclass(frozen=True)
class DriftStage:
    """Users change from one population to another, whose measurements are also the new training data.

    before, after  populations; the champion was trained on the first
    """

    before: str
    after: str

    def run(self, runner: StepRunner, environment: ScenarioEnvironment, number: int) -> None:
        """Raises UserError if drift is found too early or not at all, or no better champion follows."""
        champion = model_registry.get_aliases(environment)["champion"]
        with model_steps.users(environment, f"usual-traffic-{number}", Traffic(self.before)):
            wait = partial(drift_steps.wait_for_rows, environment, _USUAL_ROWS)
            runner.run_step("Usual requests are in the inference log", wait)
            self._check(runner, environment, champion, _NO_DRIFT)
        drift_steps.wait_for_metric(environment, champion, detected=False)
        with model_steps.users(environment, f"other-traffic-{number}", Traffic(self.after)) as read_responses:
            runner.run_step("New data arrives", partial(drift_steps.put_new_data, environment, self.after))
            wait = partial(drift_steps.wait_for_rows, environment, _OTHER_ROWS)
            runner.run_step("Other requests are in the inference log", wait)
            detectable = time.monotonic()
            self._check(runner, environment, champion, _DRIFT)
            version = self._retrain(runner, environment)
            promote(runner, environment, version)
            roll_out = partial(model_steps.wait_until_rolled_out, environment, version)
            messages = runner.run_step(f"Roll version {version} out", roll_out)
            duration = time.monotonic() - detectable
            show_rollout(environment, messages, read_responses())
            right = read_responses().right
        check_consistency(environment, version)
        self._check_traces(environment, champion, version)
        self._check_result(runner, {version: right[version], champion: right[champion]}, duration)

    def _check_traces(self, environment: ScenarioEnvironment, champion: str, version: str) -> None:
        """Check what people see of the drift: its metric, and the notice of the training run."""
        drift_steps.wait_for_metric(environment, champion, detected=True)
        for line in drift_steps.wait_for_notice(environment, version).splitlines():
            info(f"  {line}")

    def _check_result(self, runner: StepRunner, right: Mapping[str, float], duration: float) -> None:
        """
        right     the share of right predictions, keyed by version: the retrained version, then the former champion
        duration  seconds
        """
        (version, new), (champion, old) = right.items()
        info(f"  from the window that shows the change to the new champion: {duration:.0f} s, of {_TARGET:.0f} at most")
        info(f"  right predictions: {old:.1%} by version {champion}, {new:.1%} by version {version}")
        runner.durations.append((f"In all, from a detectable change until version {version} serves", duration))
        if duration > _TARGET:
            runner.problems.append(f"The retrained champion serves after {duration:.0f} s, later than {_TARGET:.0f} s.")
        if new <= old:
            raise UserError(f"The retrained version {version} is right no more often than version {champion}.")

    def _check(self, runner: StepRunner, environment: ScenarioEnvironment, version: str, expected: str) -> None:
        """Have the stack's job check the inference log, and verify that its outcome is `expected`."""
        check = partial(drift_steps.check, environment, f"check-for-{expected.replace(' ', '-')}")
        report = runner.run_step(f"Check the inference log: {expected}", check)
        columns = drift_steps.list_drifted_columns(report)
        shown = ", ".join(columns[:_SHOWN_COLUMNS])
        info(
            f"  {report['outcome']} in {report['rows']} rows of version {report['version']}; drifted: {shown or 'none'}"
        )
        if (report["version"], report["outcome"], bool(columns)) != (version, expected, expected == _DRIFT):
            raise UserError(
                f"The drift check of version {version} should find {expected}; it reports: {report['reasons']}"
            )

    def _retrain(self, runner: StepRunner, environment: ScenarioEnvironment) -> str:
        """Wait for the training run; returns the version that it registered."""
        run = runner.run_step(
            "The drift event starts a training run", partial(drift_steps.wait_until_started, environment)
        )
        runner.run_step(f"Retrain with the Job {run}", partial(drift_steps.wait_until_trained, environment, run))
        return model_registry.get_challenger(environment)
