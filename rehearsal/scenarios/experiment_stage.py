"""A stage of the scenario: an experiment decides on a challenger, and the rollout acts on the decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rehearsal.console import UserError, info
from rehearsal.scenarios import experiment_steps, model_registry, model_steps
from rehearsal.scenarios.environment import ScenarioEnvironment
from rehearsal.scenarios.model_steps import Traffic
from rehearsal.scenarios.rollout_stage import check_consistency, promote, show_rollout
from rehearsal.scenarios.step_runner import StepRunner

PROMOTE, STOP = "promote", "stop"

_USERS = Traffic("two-cameras")
_ROLLED_BACK = "Groundwork-Rollout: rolled-back"


@dataclass(frozen=True)
class ExperimentStage:
    """Half of the users have a second camera, whose images the first champion has never seen.

    name        of the experiment
    population  the challenger is trained on its measurements
    verdict     the expected one: `promote` or `stop`
    """

    name: str
    population: str
    verdict: str

    def run(self, runner: StepRunner, environment: ScenarioEnvironment, number: int) -> None:
        """Run the stage. Raises UserError if the experiment or the rollout ends otherwise than expected."""
        champion = model_registry.get_aliases(environment)["champion"]
        runner.run_step(f"Define experiment {self.name}", partial(experiment_steps.define, environment, self.name))
        train = partial(model_steps.register_challenger, environment, "sound", self.population, f"training-{number}")
        version = runner.run_step(f"Train a challenger on {self.population}", train)
        promote(runner, environment, version)
        enter = partial(experiment_steps.wait_until_entered, environment, version, self.name)
        runner.run_step(f"Version {version} enters {self.name}", enter)
        self._compare(runner, environment, version)
        if self.verdict == PROMOTE:
            with model_steps.users(environment, f"traffic-{version}", _USERS) as read_responses:
                wait = partial(model_steps.wait_until_rolled_out, environment, version)
                show_rollout(environment, runner.run_step(f"Roll version {version} out", wait), read_responses())
        else:
            wait = partial(model_steps.wait_until_rolled_out, environment, version)
            show_rollout(environment, runner.run_step(f"Roll version {version} back", wait))
        check_consistency(environment, version if self.verdict == PROMOTE else champion)
        self._check_commits(environment, version)

    def _compare(self, runner: StepRunner, environment: ScenarioEnvironment, version: str) -> None:
        """Simulate users until the experiment is decided, and check the verdict and the data behind it."""
        with experiment_steps.users(environment, self.name) as read_counts:
            wait = partial(experiment_steps.wait_until_all_came, read_counts)
            counts = runner.run_step(f"Users send requests through the router of {self.name}", wait)
            if model_steps.get_weights(environment).get(f"{model_registry.MODEL}-challenger-predictor", 0) > 0:
                raise UserError("The route sends requests to the challenger, though an experiment decides on it.")
            decide = partial(experiment_steps.decide, environment, version, self.name)
            action, reasons = runner.run_step(f"Decide {self.name}: {self.verdict}", decide)
        stats = experiment_steps.count(environment, self.name)
        self._show(action, reasons, stats, counts)
        if action != self.verdict:
            raise UserError(
                f"The verdict of experiment {self.name} should be {self.verdict}; it is {action}: {reasons}"
            )
        report = f"experiments/{self.name}/report.html"
        if report not in model_registry.list_artifacts(environment, version, f"experiments/{self.name}"):
            raise UserError(f"The run of version {version} has no artifact {report}.")

    def _show(self, action: str, reasons: str, stats: Mapping[str, int], counts: Mapping[str, Any]) -> None:
        info(f"  {action}: {reasons}")
        info(f"  the router's /ab-test/stats: {dict(stats)}")
        info(f"  responses by variant, version and status: {counts['responses']}")

    def _check_commits(self, environment: ScenarioEnvironment, version: str) -> None:
        """Check that the commits state the decision and its reason, and that the experiment has ended in git."""
        reason = f"The experiment {self.name} says {self.verdict}."
        of_version = [text for text in environment.repository.messages() if f"version {version}" in text]
        reverted = any(_ROLLED_BACK in text for text in of_version)
        if not any(reason in text for text in of_version) or reverted != (self.verdict == STOP):
            raise UserError(f"The commits of version {version} do not state that the experiment {self.name} decided.")
        state = experiment_steps.read_state(environment, self.name)
        if state != "ended":
            raise UserError(f"The experiment {self.name} is {state} after the rollout that it decided on.")
