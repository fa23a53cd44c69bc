"""Inputs that each violate one constraint of an API, derived from valid inputs."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from kernel.paths import EVERY, Path, parse_path
from kernel.values import ABSENT, UNKNOWN
from rehearsal.simulator.core.constraints import Constraint, Kind, compile_pattern

# Each API's set of characters excludes at least one of these; an empty optional text is not sent.
_UNUSUAL_CHARACTERS = ("\0", "\n", " ", "é", "☃", "-", "_", "a", "A", "0", "/", "*", "")


def break_constraint(constraint: Constraint, inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """The inputs with one value that violates the constraint; None if they have no value at its path.

    Raises ValueError if no value that the provider would send violates it.
    """
    path = find_value(inputs, parse_path(constraint.path))
    if path is None:
        return None
    broken = copy.deepcopy(dict(inputs))
    owner: Any = broken
    for step in path[:-1]:
        owner = owner[step]
    last = path[-1]
    if constraint.kind is Kind.REQUIRED:
        del owner[last]
    elif constraint.of_keys:
        key, value = next(iter(owner[last].items()))
        owner[last] = {_choose_text(constraint, key): value}
    else:
        owner[last] = _choose(constraint, owner[last])
    return broken


def find_value(value: Any, steps: Path, here: Path = ()) -> Path | None:
    """The path of the first value that exists and is not empty."""
    if not steps:
        return here if value not in (None, ABSENT, UNKNOWN, "", [], {}) else None
    if steps[0] == EVERY:
        items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
        found = (find_value(item, steps[1:], (*here, key)) for key, item in items)
        return next((path for path in found if path is not None), None)
    return find_value(value.get(steps[0]), steps[1:], (*here, steps[0])) if isinstance(value, Mapping) else None


def _choose(constraint: Constraint, value: Any) -> Any:
    limit = constraint.limit
    if constraint.kind in (Kind.LOWEST, Kind.HIGHEST):
        return limit - 1 if constraint.kind is Kind.LOWEST else limit + 1
    if isinstance(value, str):
        return _choose_text(constraint, value)
    count = limit - 1 if constraint.kind is Kind.SHORTEST else limit + 1
    _require_sent(constraint, count)
    if isinstance(value, list):
        return (value * count)[:count]
    return {f"{next(iter(value))}{number}": next(iter(value.values())) for number in range(count)}


def _choose_text(constraint: Constraint, text: str) -> str:
    limit: Any = constraint.limit
    if constraint.kind is Kind.VALUES:
        return f"{text}-x"
    if constraint.kind is Kind.LONGEST:
        return text + text[-1] * int(limit + 1 - len(text))
    if constraint.kind is Kind.SHORTEST:
        _require_sent(constraint, limit - 1)
        return (text * int(limit))[: int(limit) - 1]
    pattern = compile_pattern(limit)
    candidates = (each for character in _UNUSUAL_CHARACTERS for each in (text + character, character + text, character))
    found = next((each for each in candidates if each and pattern.fullmatch(each) is None), "")
    _require_sent(constraint, len(found))
    return found


def _require_sent(constraint: Constraint, length: int) -> None:
    if length == 0 and not constraint.is_sent_empty:
        raise ValueError(f"{constraint.path}: the provider does not send a value that violates it")
