"""The experiments' file, which git holds: which experiment runs for which model, with which share.

experiments:
  - name: churn-forest        # part of the hash: a new experiment needs a new name
    model: churn              # the registered model, whose champion and challenger are compared
    challenger_percent: 10    # 0 to 100, in steps of 0.01
    state: running            # or ended: all traffic to the champion, outcomes are still accepted
    challenger_timeout: 1.0   # seconds after which the champion answers instead
    outcome_window_days: 7    # an outcome that arrives later after its prediction is kept, and not counted
    user_window_days: 7       # what happens later after a user's first prediction is not counted
    outcomes:                 # what is accepted as an outcome: binary (0 or 1), or continuous
      converted: binary
    criteria:                 # by what the experiment is decided: criteria.py; without it, it is not
      outcome: converted
      minimum_effect: 0.01
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lifecycle.core import LifecycleError
from lifecycle.experiment.assignment import BUCKETS
from lifecycle.experiment.criteria import BUILT_IN, LATENCY, Criteria
from lifecycle.gitops.manifests import InvalidNameError, check_name

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""A DNS label: safe in metrics, headers and the stores' keys, and without the hash's slash."""

DAY = 24 * 3600.0  # seconds

_log = logging.getLogger(__name__)


class DefinitionsError(LifecycleError):
    """The experiments' file is missing or invalid."""


class Experiment(BaseModel):
    """One entry of the file; the module's docstring explains the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    model: str
    challenger_percent: float = Field(10, ge=0, le=100, allow_inf_nan=False)
    state: Literal["running", "ended"] = "running"
    challenger_timeout: float = Field(1.0, gt=0, le=60, allow_inf_nan=False)
    outcome_window_days: float = Field(7, gt=0, le=366, allow_inf_nan=False)
    user_window_days: float = Field(7, gt=0, le=366, allow_inf_nan=False)
    outcomes: Mapping[Name, Literal["binary", "continuous"]] = Field(default_factory=dict)
    criteria: Criteria | None = None

    @field_validator("model")
    @classmethod
    def _check_model(cls, model: str) -> str:
        try:
            check_name(model)
        except InvalidNameError as error:
            raise ValueError(str(error)) from None
        return model

    @field_validator("challenger_percent")
    @classmethod
    def _check_step(cls, percent: float) -> float:
        if round(percent, 2) != percent:
            raise ValueError("must be a multiple of 0.01: there are 10,000 buckets")
        return percent

    @model_validator(mode="after")
    def _check_criteria(self) -> Self:
        if taken := sorted(set(self.outcomes) & set(BUILT_IN)):
            raise ValueError(f"the outcome {', '.join(taken)} has the name of a built-in measure; choose another name")
        if self.criteria is None:
            return self
        known = {*self.outcomes, LATENCY}
        if self.criteria.outcome not in known:
            raise ValueError(f"criteria.outcome is {self.criteria.outcome!r}; there are: {', '.join(sorted(known))}")
        for guardrail in self.criteria.guardrails:
            if guardrail.outcome not in {*known, *BUILT_IN}:
                names = ", ".join(sorted({*known, *BUILT_IN}))
                raise ValueError(f"a guardrail's outcome is {guardrail.outcome!r}; there are: {names}")
        if self.user_window_days >= self.criteria.maximum_days:
            raise ValueError(
                f"user_window_days is {self.user_window_days:g}: it must be below criteria.maximum_days, "
                f"{self.criteria.maximum_days:g}, as users count when their window has closed"
            )
        return self

    @property
    def challenger_share(self) -> int:
        """Buckets of the challenger."""
        return round(self.challenger_percent * BUCKETS / 100)

    @property
    def is_running(self) -> bool:
        return self.state == "running"

    @property
    def outcome_window(self) -> float:
        """Seconds."""
        return self.outcome_window_days * DAY

    @property
    def user_window(self) -> float:
        """Seconds."""
        return self.user_window_days * DAY


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    experiments: tuple[Experiment, ...] = ()

    @model_validator(mode="after")
    def _check_unique(self) -> Self:
        for what, values in (
            ("the name", [experiment.name for experiment in self.experiments]),
            ("a running experiment of the model", [each.model for each in self.experiments if each.is_running]),
        ):
            if twice := sorted({value for value in values if values.count(value) > 1}):
                raise ValueError(f"{what} {', '.join(twice)} appears more than once; keep one")
        return self


@dataclass(frozen=True)
class Definitions:
    """The experiments of a valid file."""

    by_name: Mapping[str, Experiment] = field(default_factory=dict)
    running: Mapping[str, Experiment] = field(default_factory=dict)
    """By model."""


def parse(content: bytes, source: str) -> Definitions:
    """Raises DefinitionsError with one line per problem."""
    try:
        data: Any = yaml.safe_load(content) or {}
        if not isinstance(data, dict):
            raise DefinitionsError(f"{source} must be a mapping with the key `experiments`; add that")
        experiments = _File.model_validate(data).experiments
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DefinitionsError(f"{source} is not YAML: {reason}; correct it") from None
    except ValidationError as error:
        lines = [f"{source}: {_explain(problem)}" for problem in error.errors(include_url=False)]
        raise DefinitionsError("\n".join(lines)) from None
    return Definitions(
        {experiment.name: experiment for experiment in experiments},
        {experiment.model: experiment for experiment in experiments if experiment.is_running},
    )


class DefinitionsFile:
    """The file, read again when it has changed. An invalid one leaves the last valid one in force.

    `backup` keeps that for a process that starts when the file is invalid. Where there is neither file nor backup, but
    the file's folder, there are no experiments yet: whatever syncs the file from git may come up after the router.
    """

    def __init__(self, path: Path, backup: Path) -> None:
        """Raises DefinitionsError when neither the file nor the backup is valid, or the file's folder is missing."""
        self._path = path
        self._backup = backup
        self._content: bytes | None = None
        self.problem = ""
        """Why the file, as it is, is not in force; empty when it is."""
        self.current = Definitions()
        if not self.reload():
            self.current = self._read_backup()

    def reload(self) -> bool:
        """Read the file if it has changed; returns whether the file, as it is, is in force."""
        try:
            content = self._path.read_bytes()
            if content == self._content:
                return not self.problem
            self._content = content
            self.current = parse(content, str(self._path))
        except OSError as error:
            self._content = None
            self._report(f"{self._path} cannot be read: {error.strerror}; create it, or set EXPERIMENT_FILE")
        except DefinitionsError as error:
            self._report(str(error))
        else:
            self.problem = ""
            self._write_backup(content)
            _log.info("Experiments of %s are in force: %s", self._path, ", ".join(self.current.by_name) or "none")
        return not self.problem

    def _report(self, problem: str) -> None:
        if problem != self.problem:
            _log.error("The experiments stay as they were: %s", problem)
        self.problem = problem

    def _read_backup(self) -> Definitions:
        if not self._path.exists() and self._path.parent.is_dir() and not self._backup.exists():
            _log.warning("There are no experiments until %s appears", self._path)
            return Definitions()
        try:
            definitions = parse(self._backup.read_bytes(), str(self._backup))
        except (OSError, DefinitionsError):
            raise DefinitionsError(self.problem) from None
        _log.error("The last valid experiments, of %s, are in force", self._backup)
        return definitions

    def _write_backup(self, content: bytes) -> None:
        """In one step, so that it is valid whenever this process ends."""
        draft = self._backup.with_suffix(".draft")
        try:
            draft.write_bytes(content)
            draft.replace(self._backup)
        except OSError as error:
            _log.warning("%s cannot be written (%s): it is needed only where the file is invalid", draft, error)


def _explain(problem: Mapping[str, Any]) -> str:
    """One line: place, value, rule."""
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"{place} is missing: add it"
    rule = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error" and isinstance(problem["input"], Mapping):  # a rule between fields
        return f"{place}: {rule}" if place else rule
    return f"{place} is {problem['input']!r}: {rule[:1].lower()}{rule[1:]}"
