"""The findings that controls report on properties."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Undecided:
    """The property at `path` must be known before the control can decide."""

    path: str


Props: TypeAlias = Mapping[str, Any]
"""A resource's properties: plain dicts and lists, with `kernel.values.UNKNOWN` for unknown values."""

Finding: TypeAlias = str | Undecided
"""A problem in one sentence without a full stop, or the property that must be known first."""

Findings: TypeAlias = Iterator[Finding]
