"""Which version takes part in an experiment, since when, and what was decided: tags of the version in the registry.

The rollout enters its challenger, the analysis writes verdicts, and the rollout acts on them. The tag of a verdict also
names the experiment, so a verdict of another experiment never counts. Anybody can write tags: a tag in any other format
than the one written here counts as absent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lifecycle.core.names import (
    EXPERIMENT_SINCE_TAG,
    EXPERIMENT_TAG,
    STATUS_TAG,
    VERDICT_REASONS_TAG,
    VERDICT_TAG,
    VERDICT_TIME_TAG,
    Action,
    Status,
)
from lifecycle.core.registry import ModelRegistry
from lifecycle.core.text import to_line

_FINAL = frozenset({Action.PROMOTE, Action.STOP})
_MAX_REASONS = 1000  # characters; MLflow allows 5000 in a tag
_SEPARATOR = ": "  # between experiment and action; names of experiments have neither character


@dataclass(frozen=True)
class Decision:
    """What was decided, why (in one line), and when (in seconds since 1970)."""

    action: Action
    reasons: str
    time: float

    @property
    def is_final(self) -> bool:
        return self.action in _FINAL


@dataclass(frozen=True)
class Participation:
    """A version in an experiment.

    since       seconds since 1970 from which requests count, because its service answered
    is_current  whether the version is being rolled out
    decision    the latest one since then, if there is one
    """

    model: str
    version: str
    experiment: str
    since: float
    is_current: bool
    decision: Decision | None = None

    @property
    def is_decided(self) -> bool:
        return self.decision is not None and self.decision.is_final


class Participations:
    """The participations in a registry. The methods raise the registry's errors."""

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry

    def find(self, model: str, version: str, experiment: str) -> Participation | None:
        """A version's participation; None if it does not take part in this experiment."""
        tags = self._registry.find_tags(model, version)
        return None if tags is None else _parse(model, version, experiment, tags)

    def find_latest(self, model: str, experiment: str) -> Participation | None:
        """The participation of the version that entered last; only its answers are evidence about it."""
        versions = self._registry.list_versions_with_tag(model, EXPERIMENT_TAG, experiment)
        found = (self.find(model, version, experiment) for version in versions)
        return max((each for each in found if each), key=lambda each: each.since, default=None)

    def enter(self, model: str, version: str, experiment: str, since: float) -> None:
        """Enter a version. The tag with the experiment's name is written last: it says that the version takes part."""
        tags = {STATUS_TAG: Status.ROLLING_OUT, EXPERIMENT_SINCE_TAG: f"{since:.3f}", EXPERIMENT_TAG: experiment}
        self._registry.set_tags(model, version, tags)

    def decide(
        self, participation: Participation, action: Action, reasons: Sequence[str], time: float
    ) -> Participation | None:
        """Write a decision, unless a final one was written meanwhile, or the version no longer takes part.

        Returns the participation as it was just before; None if it was over.
        """
        model, version, experiment = participation.model, participation.version, participation.experiment
        current = self.find(model, version, experiment)
        if current is None or not current.is_current or current.is_decided or current.since != participation.since:
            return None
        tags = {
            VERDICT_REASONS_TAG: shorten(reasons),
            VERDICT_TIME_TAG: f"{time:.3f}",
            VERDICT_TAG: f"{experiment}{_SEPARATOR}{action}",
        }
        self._registry.set_tags(model, version, tags)
        return current


def shorten(reasons: Sequence[str]) -> str:
    """Reasons as one line that fits in a tag."""
    text = to_line(" ".join(reasons))
    return text if len(text) <= _MAX_REASONS else f"{text[: _MAX_REASONS - 1]}…"


def _parse(model: str, version: str, experiment: str, tags: Mapping[str, str]) -> Participation | None:
    since = _parse_time(tags.get(EXPERIMENT_SINCE_TAG, ""))
    if tags.get(EXPERIMENT_TAG) != experiment or since is None:
        return None
    is_current = tags.get(STATUS_TAG) == Status.ROLLING_OUT
    return Participation(model, version, experiment, since, is_current, _parse_decision(experiment, since, tags))


def _parse_decision(experiment: str, since: float, tags: Mapping[str, str]) -> Decision | None:
    name, _, action = tags.get(VERDICT_TAG, "").partition(_SEPARATOR)
    time = _parse_time(tags.get(VERDICT_TIME_TAG, ""))
    if name != experiment or action not in list(Action) or time is None or time < since:
        return None
    return Decision(Action(action), to_line(tags.get(VERDICT_REASONS_TAG, "")), time)


def _parse_time(text: str) -> float | None:
    try:
        time = float(text)
    except ValueError:
        return None
    return time if math.isfinite(time) else None
