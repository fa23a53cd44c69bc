"""What a change of a setting does to a deployed stack: its effect, on what, and which values it depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Effect(StrEnum):
    """The effect of a change, from harmless to impossible."""

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
    Effect.LOSES_DATA: "data is lost for good; the change has to be confirmed",
    Effect.FIXED: "refused: a stack keeps the value that it was created with",
}


@dataclass(frozen=True)
class Change:
    """A change and its effect.

    consequence  what is affected and how; continues a sentence
    instead      what can be done instead of a change that is fixed
    """

    effect: Effect
    consequence: str = ""
    instead: str = "for another value, destroy the stack and create it again"

    def __str__(self) -> str:
        return f"{self.effect}: {self.consequence}" if self.consequence else str(self.effect)


@dataclass(frozen=True)
class Transitions:
    """The effects of changing a setting.

    usual      the effect of a change; of a number, the effect of increasing it
    otherwise  returns the effect of a change between two values if it differs from the usual one, else None
    known_as   that exception in words, for documentation
    """

    usual: Change
    otherwise: Callable[[Any, Any], Change | None] = lambda *_: None
    known_as: str = ""

    def find(self, old: Any, new: Any) -> Change:
        return self.otherwise(old, new) or self.usual

    def __str__(self) -> str:
        return f"{self.usual}; {self.known_as}" if self.known_as else str(self.usual)
