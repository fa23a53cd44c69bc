"""An experiment about the model of a rollout: its entry in git, its records in a store, and decisions on it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from lifecycle.core import Action, ModelRegistry, NotificationSettings, Notifier, Participations
from lifecycle.experiment.decisions import Decider
from lifecycle.experiment.records import Record
from lifecycle.experiment.sqlite_store import SqliteStore
from lifecycle.gitops.experiments import DAY, parse
from support.experiment import EXPERIMENT, create_results
from support.rollout_environment import RolloutEnvironment

PATH = "stacks/dev/experiments/experiments.yaml"
NAME = EXPERIMENT
USERS = 3000


@dataclass
class RunningExperiment:
    """The records are simulated; git, SQLite and MLflow are real.

    days  from the first record to each decision
    """

    environment: RolloutEnvironment
    folder: Path
    days: float = 12
    changes: dict[str, Any] = field(default_factory=dict)

    def define(self, **changes: Any) -> None:
        """Commit the experiment's entry, as people do."""
        self.changes |= changes
        entry = {
            "name": NAME,
            "model": self.environment.model,
            "challenger_percent": 50,
            "user_window_days": 1,
            "outcomes": {"converted": "binary"},
            "criteria": {"outcome": "converted", "minimum_effect": 0.05},
            **self.changes,
        }
        self.environment.remote.push_file(PATH, yaml.safe_dump({"experiments": [entry]}))

    @property
    def state(self) -> str:
        (entry,) = yaml.safe_load(self.environment.remote.read(PATH))["experiments"]
        return str(entry.get("state", "running"))

    @property
    def participations(self) -> Participations:
        return Participations(ModelRegistry(self.environment.models.uri))

    @property
    def began(self) -> float:
        """When the challenger entered, in seconds since 1970."""
        found = self.participations.find_latest(self.environment.model, NAME)
        assert found is not None, "no challenger takes part"
        return found.since

    def record(self, effect: float, users: int = USERS, bias: float = 0.0, before: float = 0.0) -> None:
        """Record users who come within ten days; `before` is how many seconds too early these days begin."""
        records: list[Record] = [*create_results(users, effect, start=self.began + 1 - before, bias=bias)]
        with_prefix = [replace(each, request_id=f"{before}-{each.request_id}") for each in records]  # type: ignore[type-var]
        store = self._open()
        store.write(with_prefix)
        store.close()

    def decide(self, url: str = "", days: float | None = None) -> str:
        """A run of the CronJob, for this experiment."""
        experiment = parse(self.environment.remote.read(PATH).encode(), PATH).by_name[NAME]
        registry = ModelRegistry(url or self.environment.models.uri, fail_fast=True)
        notifier = Notifier(NotificationSettings(url=self.environment.notifications.url))
        now = self.began + (self.days if days is None else days) * DAY
        store = self._open()
        try:
            return Decider("dev", store, registry, notifier, lambda: now).decide(experiment)
        finally:
            store.close()

    def decided(self, version: str = "2") -> Action | None:
        found = self.participations.find(self.environment.model, version, NAME)
        return found.decision.action if found and found.decision else None

    def write(self, action: Action, reasons: str = "As tests say.", after: float = 1) -> None:
        """Decide as a test wants, so many seconds after the challenger came in."""
        found = self.participations.find_latest(self.environment.model, NAME)
        assert found is not None
        self.participations.decide(found, action, [reasons], found.since + after)

    def step(self) -> str:
        return self.environment.controller().step(self.environment.model).message

    def _open(self) -> SqliteStore:
        return SqliteStore(str(self.folder / "experiments.db"))
