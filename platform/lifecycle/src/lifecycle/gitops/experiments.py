"""The experiments file in git: which experiment runs for which model, with which share.

experiments:
  - name: churn-forest        # part of the hash: a new experiment needs a new name
    model: churn              # the registered model, whose champion and challenger are compared
    challenger_percent: 10    # 0 to 100, in steps of 0.01
    state: running            # or ended: all traffic to the champion, outcomes are still accepted
    challenger_timeout: 1.0   # seconds after which the champion answers instead
    outcome_window_days: 7    # an outcome that arrives later after its prediction is stored, but not counted
    user_window_days: 7       # predictions later after a user's first one are not counted
    outcomes:                 # the accepted outcomes: binary (0 or 1), or continuous
      converted: binary
    criteria:                 # decide the experiment, see criteria.py; without them, it is not decided
      outcome: converted
      minimum_effect: 0.01
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lifecycle.core import LifecycleError
from lifecycle.gitops.criteria import BUILT_IN, LATENCY, Criteria
from lifecycle.gitops.git import InvalidFileError
from lifecycle.gitops.manifests import InvalidNameError, check_name
from lifecycle.gitops.model_folder import Edits, Files, stack_path
from lifecycle.gitops.settings import GitopsSettings

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""A DNS label: safe in metrics, headers and the stores' keys, and without the hash's slash."""

DAY = 24 * 3600.0  # seconds
BUCKETS = 10_000  # of users; a share is expressed as a number of buckets


class DefinitionsError(LifecycleError):
    """The experiments file is missing or invalid."""


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
        if conflicting := sorted(set(self.outcomes) & set(BUILT_IN)):
            raise ValueError(
                f"the outcome {', '.join(conflicting)} has the name of a built-in measure; use another name"
            )
        if self.criteria is None:
            return self
        known = {*self.outcomes, LATENCY}
        if self.criteria.outcome not in known:
            raise ValueError(f"criteria.outcome is {self.criteria.outcome!r}: not one of {', '.join(sorted(known))}")
        for guardrail in self.criteria.guardrails:
            if guardrail.outcome not in {*known, *BUILT_IN}:
                names = ", ".join(sorted({*known, *BUILT_IN}))
                raise ValueError(f"a guardrail's outcome is {guardrail.outcome!r}: not one of {names}")
        if self.user_window_days >= self.criteria.maximum_days:
            raise ValueError(
                f"user_window_days is {self.user_window_days:g}: it must be below criteria.maximum_days, "
                f"{self.criteria.maximum_days:g}, because users count only after their window has closed"
            )
        return self

    @property
    def challenger_share(self) -> int:
        """The number of the challenger's buckets."""
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
            if duplicates := sorted({value for value in values if values.count(value) > 1}):
                raise ValueError(f"{what} {', '.join(duplicates)} appears more than once; keep one")
        return self


@dataclass(frozen=True)
class Definitions:
    """The experiments of a valid file."""

    by_name: Mapping[str, Experiment] = field(default_factory=dict)
    running: Mapping[str, Experiment] = field(default_factory=dict)
    """Keyed by model."""


def parse(content: bytes, source: str) -> Definitions:
    """Raises DefinitionsError with one line per problem."""
    try:
        data: Any = yaml.safe_load(content) or {}
        if not isinstance(data, dict):
            raise DefinitionsError(f"{source} must be a mapping with the key `experiments`; add it")
        experiments = _File.model_validate(data).experiments
    except ValidationError as error:
        lines = [f"{source}: {_explain(problem)}" for problem in error.errors(include_url=False)]
        raise DefinitionsError("\n".join(lines)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # such as a date that does not exist, nested lists
        reason = " ".join(str(error).split())
        raise DefinitionsError(f"{source} is not YAML: {reason}; correct it") from None
    return Definitions(
        {experiment.name: experiment for experiment in experiments},
        {experiment.model: experiment for experiment in experiments if experiment.is_running},
    )


def experiments_path(settings: GitopsSettings) -> str:
    """The file's path in the GitOps repository."""
    return f"{stack_path(settings)}/experiments/experiments.yaml"


def read_experiments(files: Files, settings: GitopsSettings) -> Definitions:
    """The stack's experiments; none if there is no file. Raises RepositoryError, InvalidFileError."""
    path = experiments_path(settings)
    text = files.read(path)
    try:
        return Definitions() if text is None else parse(text.encode(), path)
    except DefinitionsError as error:
        raise InvalidFileError(str(error)) from None


def end_experiment(files: Files, settings: GitopsSettings, name: str) -> Edits:
    """The edit that ends a running experiment; all other lines are unchanged.

    No edits if it does not run, or if the file's form is such that only people can edit it.
    """
    path = experiments_path(settings)
    try:
        current = read_experiments(files, settings).by_name
        if name not in current or not current[name].is_running:
            return {}
        edited = _set_ended(files.read(path) or "", name)
        ended = {**current, name: current[name].model_copy(update={"state": "ended"})}
        return {path: edited} if parse(edited.encode(), path).by_name == ended else {}
    except (InvalidFileError, DefinitionsError):
        return {}


def _set_ended(text: str, name: str) -> str:
    """Replace the entry's `state`, or insert one before its first key."""
    for entry in _find_entries(text):
        pairs = {key.value: (key, value) for key, value in entry.value}
        if "name" not in pairs or pairs["name"][1].value != name:
            continue
        if "state" in pairs:
            node = pairs["state"][1]
            return text[: node.start_mark.index] + "ended" + text[node.end_mark.index :]
        first = entry.value[0][0].start_mark
        separator = ", " if entry.flow_style else f"\n{' ' * first.column}"
        return f"{text[: first.index]}state: ended{separator}{text[first.index :]}"
    return text


def _find_entries(text: str) -> list[yaml.MappingNode]:
    root = yaml.compose(text, yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    lists = [value for key, value in pairs if key.value == "experiments" and isinstance(value, yaml.SequenceNode)]
    return [entry for each in lists for entry in each.value if isinstance(entry, yaml.MappingNode)]


def _explain(problem: Mapping[str, Any]) -> str:
    """One line: place, value, rule."""
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"{place} is missing: add it"
    rule = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error" and isinstance(problem["input"], Mapping):  # a rule between fields
        return f"{place}: {rule}" if place else rule
    return f"{place} is {problem['input']!r}: {rule[:1].lower()}{rule[1:]}"
