"""An experiment's effect on a rollout. While one decides on a challenger, only its router sends that requests."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.core import (
    Action,
    Decision,
    LifecycleError,
    ModelRegistry,
    ModelVersion,
    Participations,
)
from lifecycle.gitops.experiments import (
    Experiment,
    end_experiment,
    experiments_path,
    read_experiments,
)
from lifecycle.gitops.git import InvalidFileError
from lifecycle.gitops.model_folder import Edits
from lifecycle.gitops.repository import Repository, Tree


@dataclass(frozen=True)
class ExperimentState:
    """Whether the rollout may continue, as far as experiments are concerned.

    experiment  the model's running experiment; None if there is none
    has_entered whether the challenger takes part
    decision    the experiment's decision on this challenger; None if there is none yet
    problem     why it is not known whether there is an experiment; empty if it is known
    """

    experiment: Experiment | None = None
    has_entered: bool = False
    decision: Decision | None = None
    problem: str = ""

    @property
    def action(self) -> Action | None:
        return self.decision.action if self.decision else None

    @property
    def is_waiting(self) -> bool:
        """Whether the rollout may not give the challenger more requests."""
        return bool(self.problem) or (self.experiment is not None and self.action is not Action.PROMOTE)

    @property
    def message(self) -> str:
        """What the rollout is waiting for, and what is known so far."""
        if self.experiment is None:
            return self.problem
        name = self.experiment.name
        if self.experiment.criteria is None:
            return f"the experiment {name} has no criteria, so people decide: end it to go on, or abort the rollout"
        message = f"the experiment {name} decides"
        return f"{message}; {self.decision.action}: {self.decision.reasons}" if self.decision else message

    def explain(self) -> list[str]:
        """The decision, for commits and notifications; empty if there is none."""
        if self.experiment is None or self.decision is None:
            return []
        return [f"The experiment {self.experiment.name} says {self.decision.action}. {self.decision.reasons}"]


class Experiments:
    """The experiments of a stack, from git, and their decisions, from the registry."""

    def __init__(self, repository: Repository, registry: ModelRegistry) -> None:
        self._repository = repository
        self._participations = Participations(registry)

    def consult(self, tree: Tree, challenger: ModelVersion) -> ExperimentState:
        """Raises RegistryError, and RepositoryError except for an invalid experiments' file."""
        try:
            experiment = read_experiments(tree, self._repository.settings).running.get(challenger.model)
        except InvalidFileError as error:
            return ExperimentState(problem=f"it is not known whether an experiment runs: {error}")
        if experiment is None:
            return ExperimentState()
        found = self._participations.find_latest(challenger.model, experiment.name)
        if found is None or found.version != challenger.version:
            return ExperimentState(experiment)
        return ExperimentState(experiment, has_entered=True, decision=found.decision)

    def enter(self, experiment: Experiment, challenger: ModelVersion, time: float) -> None:
        """Make the challenger take part from `time` on, in seconds since 1970. Raises RegistryError."""
        self._participations.enter(challenger.model, challenger.version, experiment.name, time)

    def find_start(self, state: ExperimentState) -> float:
        """The earliest time at which the rollout could continue, in seconds since 1970; 0 if no experiment ever ran."""
        path = experiments_path(self._repository.settings)
        changes = [self._repository.arrival_time(commit) for commit in self._repository.history(path, 1)]
        return max([0.0, *changes, *([state.decision.time] if state.decision else [])])

    def edit_end(self, tree: Tree, challenger: ModelVersion) -> Edits:
        """The edit that ends the experiment that the challenger took part in.

        No edits if the registry does not answer: nothing may keep a rollout from ending.
        """
        try:
            state = self.consult(tree, challenger)
        except LifecycleError:
            return {}
        if state.experiment is None or not state.has_entered:
            return {}
        return end_experiment(tree, self._repository.settings, state.experiment.name)
