"""What a control reports of the properties it reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Undecided:
    """The property at `path` must be known before the control can decide."""

    path: str


Props: TypeAlias = Mapping[str, Any]
"""A resource's properties: plain dicts and lists, in which `kernel.values.UNKNOWN` stands for unknown values."""

Finding: TypeAlias = str | Undecided
"""A problem in one sentence without a full stop, or what has to be known first. Compliance reports nothing."""

Findings: TypeAlias = Iterator[Finding]
