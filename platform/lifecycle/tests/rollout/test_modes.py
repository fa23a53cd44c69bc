"""Every verb in every mode: a commit on the branch, or a pull request whose merge has the same effect.

Proves for promote, step, adopt, settle, rollback and abort, and for decisions of an experiment, that `pull-request`
pushes nothing to a branch that rejects it, that each has one pull request and one notification even if it is repeated,
and that a requested rollback stays requested. The forge is simulated, its merges are real merge commits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lifecycle.core import Action
from lifecycle.rollout.controller import Controller
from support.forge import SimulatedForge
from support.git_remote import GitRemote
from support.registered_models import RegisteredModels
from support.rollout_environment import RolloutEnvironment
from support.running_experiment import NAME, RunningExperiment
from support.simulated_services import Service

Verb = Callable[[], str]


class Mode:
    """Runs verbs in one mode; in `pull-request`, people merge the pull requests."""

    def __init__(self, environment: RolloutEnvironment, remote: GitRemote, forge: SimulatedForge | None) -> None:
        self.environment, self.remote, self.forge = environment, remote, forge
        if forge:
            forge.protect(remote)
            environment.gitops = forge.settings(remote)
        environment.settings["steps"] = (100,)

    @property
    def controller(self) -> Controller:
        return self.environment.controller()

    def step(self) -> str:
        return self.controller.step(self.environment.model).message

    def abort(self) -> str:
        return self.controller.abort(self.environment.model, "aborted by hand").message

    def promote(self) -> str:
        return f"version {self.environment.promote()}"

    def define(self, experiment: RunningExperiment, **changes: str) -> None:
        """People's commits reach a protected branch too."""
        hook = self.remote.path / "hooks" / "update"
        hook.unlink(missing_ok=True)
        experiment.define(**changes)
        if self.forge:
            self.forge.protect(self.remote)

    def check(self, verb: Verb, message: str, subject: str) -> None:
        """The verb has this message, and then a commit with this subject is on the branch."""
        before = self.remote.git("rev-parse", "main")
        if self.forge is None:
            assert verb() == message
            assert self.remote.subjects()[-1] == subject
            return
        requests = len(self.forge.opened)
        assert f"requested: https://forge.example/pull/{requests + 1}" in verb()
        assert self.remote.git("rev-parse", "main") == before, "nothing is on the branch before the merge"
        assert list(self.forge.opened.values())[-1]["title"] == subject
        notified = len(self.environment.notifications.received)
        assert f"requested: https://forge.example/pull/{requests + 1}" in verb()
        assert len(self.forge.opened) == requests + 1, "a repeated verb requests nothing else"
        assert len(self.environment.notifications.received) == notified, "and sends no further notification"
        self.forge.merge(self.remote)


@pytest.fixture(params=["commit", "pull-request"])
def mode(request: pytest.FixtureRequest, environment: RolloutEnvironment, remote: GitRemote) -> Iterator[Mode]:
    if request.param == "commit":
        yield Mode(environment, remote, None)
        return
    with SimulatedForge().running() as forge:
        yield Mode(environment, remote, forge)


def test_a_rollout_to_its_end(mode: Mode, models: RegisteredModels) -> None:
    environment, name = mode.environment, f"{mode.environment.model} version 2"
    mode.check(mode.step, "100 %", f"Give {name} 100 % of the requests")
    assert environment.weights() == [0, 100]
    mode.check(mode.step, "adopted", f"Make {name} the champion")
    mode.check(mode.step, "settled: version 2", f"Let {name} serve alone")
    assert mode.step() == "settled: version 2"
    assert environment.weights() == [100]
    assert models.alias(environment.model, "champion") == "2"
    assert (models.status(environment.model, "1"), models.status(environment.model, "2")) == ("registered", "serving")


@pytest.mark.parametrize("verb", ["abort", "rollback by guardrails"])
def test_a_rollout_and_back(mode: Mode, models: RegisteredModels, verb: str) -> None:
    environment, subject = mode.environment, f"Revert the rollout of {mode.environment.model} version 2"
    environment.settings["steps"] = (50, 100)
    mode.check(mode.step, "50 %", f"Give {environment.model} version 2 50 % of the requests")
    if verb == "abort":
        mode.check(mode.abort, "rolled-back: version 2", subject)
    else:
        environment.services["challenger"].status = 500
        mode.check(mode.step, "rolled-back: version 2", subject)
    assert mode.step() == "rolled-back: version 2"
    assert environment.weights() == [100]
    assert models.alias(environment.model, "champion") == "1"
    assert models.status(environment.model, "2") == "rolled-back"


@pytest.fixture
def experiment(mode: Mode, tmp_path: Path) -> RunningExperiment:
    return RunningExperiment(mode.environment, tmp_path)


def test_a_rollout_that_continues_after_an_experiment(mode: Mode, experiment: RunningExperiment) -> None:
    mode.define(experiment)
    before = mode.remote.git("rev-parse", "main")
    for _ in range(2):
        assert mode.step() == f"waiting: the experiment {NAME} decides"
    assert mode.remote.git("rev-parse", "main") == before
    assert not mode.forge or not mode.forge.opened, "nothing is requested while it decides"
    experiment.write(Action.PROMOTE)
    mode.check(mode.step, "100 %", f"Give {mode.environment.model} version 2 100 % of the requests")
    mode.check(mode.step, "adopted", f"Make {mode.environment.model} version 2 the champion")
    assert experiment.state == "running"
    mode.check(mode.step, "settled: version 2", f"Let {mode.environment.model} version 2 serve alone")
    assert experiment.state == "ended"


def test_a_rollout_that_an_experiment_stops(mode: Mode, experiment: RunningExperiment) -> None:
    mode.define(experiment)
    mode.step()
    experiment.write(Action.STOP, "It is worse.")
    mode.check(mode.step, "rolled-back: version 2", f"Revert the rollout of {mode.environment.model} version 2")
    assert mode.step() == "rolled-back: version 2"
    assert experiment.state == "ended"
    details = [line for each in mode.environment.notifications.received for line in each["details"]]
    assert any(f"The experiment {NAME} says stop. It is worse." in line for line in details)


def test_a_rollout_that_makes_way_for_an_experiment(mode: Mode, experiment: RunningExperiment) -> None:
    mode.environment.settings["steps"] = (50, 100)
    mode.check(mode.step, "50 %", f"Give {mode.environment.model} version 2 50 % of the requests")
    mode.define(experiment)
    mode.check(mode.step, "0 %", f"Give {mode.environment.model} version 2 0 % of the requests")
    assert mode.environment.weights() == [100, 0]
    assert mode.step() == f"waiting: the experiment {NAME} decides"


def test_a_promotion(mode: Mode) -> None:
    """Version 3 replaces the challenger, version 2; it is a candidate once its pull request is merged."""
    environment, model = mode.environment, mode.environment.model
    assert mode.promote() == "version 3"
    if mode.forge:
        assert environment.declared_version("challenger") == "2"
        mode.forge.merge(mode.remote)
    environment.services["challenger"] = Service("3")
    assert environment.declared_version("challenger") == "3"
    mode.check(mode.step, "100 %", f"Give {model} version 3 100 % of the requests")


def test_a_requested_rollback_waits_for_its_merge_though_the_guardrails_pass_again(mode: Mode) -> None:
    if mode.forge is None:
        pytest.skip("a commit does not wait for people")
    mode.check(mode.step, "100 %", f"Give {mode.environment.model} version 2 100 % of the requests")
    requested = mode.abort()
    assert mode.step() == requested
    assert mode.environment.weights() == [0, 100]
    (notification,) = [each for each in mode.environment.notifications.received if "aborted by hand" in each["details"]]
    assert notification["outcome"] == "requested"


def test_a_step_counts_from_its_merge(mode: Mode) -> None:
    """A person may merge hours after the request; the interval and the metrics start then."""
    if mode.forge is None:
        pytest.skip("a commit is on the branch at once")
    environment = mode.environment
    environment.settings |= {"steps": (50, 100), "interval": 3600}
    mode.step()
    branch = list(mode.forge.opened)[-1]
    mode.remote.set_time(branch, 1_000_000_000)
    mode.forge.merge(mode.remote)
    assert "guardrails pass at 50 %, next step in 3" in mode.step()
