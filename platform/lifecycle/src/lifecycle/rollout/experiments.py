"""What an experiment says of a rollout. While one decides on a challenger, its router alone gives it requests."""

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
class Ruling:
    """Whether the rollout goes on, as far as experiments say.

    experiment  the running one of the model; None where there is none
    has_entered whether the challenger takes part
    decision    the experiment's on this challenger; None where there is none yet
    problem     why it is not known whether there is an experiment; empty where it is
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
        """What is waited for, and what is known so far."""
        if self.experiment is None:
            return self.problem
        name = self.experiment.name
        if self.experiment.criteria is None:
            return f"the experiment {name} has no criteria, so people decide: end it to go on, or abort the rollout"
        message = f"the experiment {name} decides"
        return f"{message}; {self.decision.action}: {self.decision.reasons}" if self.decision else message

    def explain(self) -> list[str]:
        """The decision, for commits and notifications; nothing where there is none."""
        if self.experiment is None or self.decision is None:
            return []
        return [f"The experiment {self.experiment.name} says {self.decision.action}. {self.decision.reasons}"]


class Experiments:
    """The experiments of a stack, as git has them, and their decisions, as the registry has them."""

    def __init__(self, repository: Repository, registry: ModelRegistry) -> None:
        self._repository = repository
        self._participations = Participations(registry)

    def consult(self, tree: Tree, challenger: ModelVersion) -> Ruling:
        """Raises RegistryError, and RepositoryError unless it is about the experiments' file."""
        try:
            experiment = read_experiments(tree, self._repository.settings).running.get(challenger.model)
        except InvalidFileError as error:
            return Ruling(problem=f"it is not known whether an experiment runs: {error}")
        if experiment is None:
            return Ruling()
        found = self._participations.find_latest(challenger.model, experiment.name)
        if found is None or found.version != challenger.version:
            return Ruling(experiment)
        return Ruling(experiment, has_entered=True, decision=found.decision)

    def enter(self, experiment: Experiment, challenger: ModelVersion, time: float) -> None:
        """Let the challenger take part from a time on, in seconds since 1970. Raises RegistryError."""
        self._participations.enter(challenger.model, challenger.version, experiment.name, time)

    def find_start(self, ruling: Ruling) -> float:
        """When the rollout could go on at the earliest, in seconds since 1970; 0 without any experiment so far."""
        path = experiments_path(self._repository.settings)
        changes = [self._repository.arrival_time(commit) for commit in self._repository.history(path, 1)]
        return max([0.0, *changes, *([ruling.decision.time] if ruling.decision else [])])

    def edit_end(self, tree: Tree, challenger: ModelVersion) -> Edits:
        """The edit that ends the experiment that the challenger took part in.

        Without the registry it is left alone: nothing may keep a rollout from ending.
        """
        try:
            ruling = self.consult(tree, challenger)
        except LifecycleError:
            return {}
        if ruling.experiment is None or not ruling.has_entered:
            return {}
        return end_experiment(tree, self._repository.settings, ruling.experiment.name)
