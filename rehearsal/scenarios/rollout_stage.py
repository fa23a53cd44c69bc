"""A stage of the scenario: a new version is promoted, and guardrails alone decide whether it is rolled out or back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from rehearsal.console import UserError, info
from rehearsal.scenarios import model_registry, model_steps
from rehearsal.scenarios.environment import ScenarioEnvironment
from rehearsal.scenarios.model_steps import Responses, Traffic
from rehearsal.scenarios.step_runner import StepRunner

PIPELINE = "pipeline"


@dataclass(frozen=True)
class RolloutStage:
    """A new version of the model.

    kind            `pipeline` if the pipeline trains it, else a kind of platform/lifecycle/rehearsal/challengers.py
    population      it is trained on its measurements, unless the pipeline trains it
    is_rolled_back  whether its rollout is to end with the previous champion
    traffic         of the model's users during the rollout
    """

    kind: str
    population: str = "first-camera"
    is_rolled_back: bool = False
    traffic: Traffic = field(default_factory=lambda: Traffic("first-camera"))

    def run(self, runner: StepRunner, environment: ScenarioEnvironment, number: int) -> None:
        """Run the stage. Raises UserError if the rollout does not end as expected."""
        champion = model_registry.get_aliases(environment).get("champion", "")
        version = self._train(runner, environment, f"training-{number}")
        promote(runner, environment, version)
        title = f"Roll version {version} out" + (", and back" if self.is_rolled_back else "")
        with model_steps.users(environment, f"traffic-{version}", self.traffic) as read_responses:
            messages = runner.run_step(title, partial(model_steps.wait_until_rolled_out, environment, version))
        show_rollout(environment, messages, read_responses())
        check_consistency(environment, champion if self.is_rolled_back else version)
        if self.is_rolled_back and "Revert" not in environment.repository.head_message():
            raise UserError(f"The {self.kind} challenger was not rolled back.")

    def _train(self, runner: StepRunner, environment: ScenarioEnvironment, name: str) -> str:
        if self.kind == PIPELINE:
            return runner.run_step("Train, gate and register", partial(model_steps.train, environment, name))
        train = partial(model_steps.register_challenger, environment, self.kind, self.population, name)
        return runner.run_step(f"Train a {self.kind} challenger", train)


def promote(runner: StepRunner, environment: ScenarioEnvironment, version: str) -> None:
    """Wait until a registered challenger is promoted, and its pods are ready."""
    seconds = runner.run_step(
        f"Promote version {version} by webhook", lambda: model_steps.wait_until_promoted(environment, version)
    )
    info(f"  webhook to commit: {seconds:.1f} s, including the smoke test of the model")
    runner.run_step("Sync by Argo CD", lambda: model_steps.wait_until_synced(environment))
    runner.run_step("InferenceService Ready", lambda: model_steps.wait_until_ready(environment, "challenger"))


def show_rollout(environment: ScenarioEnvironment, messages: Sequence[str], responses: Responses | None = None) -> None:
    lines = [*messages]
    if responses is not None:
        lines.append(f"responses by version and status: {dict(responses.counts)}")
    for line in [*lines, *environment.notifications.latest_lines()]:
        info(f"  {line}")


def check_consistency(environment: ScenarioEnvironment, champion: str) -> None:
    """Check that git, the cluster and the registry agree, as they must after every rollout, whatever its result."""
    model_steps.wait_until_synced(environment)
    model_steps.wait_until_deleted(environment, "challenger")
    model_steps.wait_until_ready(environment, "champion")
    aliases, weights = model_registry.get_aliases(environment), model_steps.get_weights(environment)
    if aliases != {"champion": champion} or list(weights.values()) != [100]:
        raise UserError(
            f"After the rollout version {champion} should be the champion and get all requests; the registry has "
            f"the aliases {aliases}, the route the weights {weights}."
        )
