"""What a change of a setting does to a stack that stands: its effect, on what, and by which values it depends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Effect(StrEnum):
    """What a change does, from the harmless to the impossible."""

    NONE = "no effect"
    FREE = "free"
    ROLLS_NODES = "rolls nodes"
    INTERRUPTS = "interrupts"
    LOSES_DATA = "loses data"
    FIXED = "fixed"


# What each effect means, for documentation.
MEANINGS = {
    Effect.NONE: "the setting is not used on this cloud",
    Effect.FREE: "in place; nothing is interrupted",
    Effect.ROLLS_NODES: "nodes are replaced one after another; their pods move",
    Effect.INTERRUPTS: "something does not work for some minutes",
    Effect.LOSES_DATA: "something is gone for good; has to be confirmed",
    Effect.FIXED: "refused: a stack keeps the value that it was created with",
}


@dataclass(frozen=True)
class Change:
    """What a change does.

    consequence  says to what, and continues a sentence
    instead      what can be done in place of a change that is fixed
    """

    effect: Effect
    consequence: str = ""
    instead: str = "a stack with another value has to be created anew, after this one is destroyed"

    def __str__(self) -> str:
        return f"{self.effect}: {self.consequence}" if self.consequence else str(self.effect)


@dataclass(frozen=True)
class Transitions:
    """What the changes of a setting do.

    usual      what every change does, of a number its increase
    otherwise  what another change does from one value to the next: None where it does the usual
    known_as   that in words, for documentation
    """

    usual: Change
    otherwise: Callable[[Any, Any], Change | None] = lambda *_: None
    known_as: str = ""

    def find(self, old: Any, new: Any) -> Change:
        return self.otherwise(old, new) or self.usual

    def __str__(self) -> str:
        return f"{self.usual}; {self.known_as}" if self.known_as else str(self.usual)
