"""The settings that a stack was last deployed with, in the engine's state.

A program records them in the output `settings` of a component, which the engine stores and does not print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

OUTPUT = "settings"


def find_deployed_settings(resources: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The settings in a deployment's resources; None if it did not complete, or if the program does not record them."""
    outputs = (each.get("outputs", {}) for each in resources if not each.get("custom"))
    found = (each[OUTPUT] for each in outputs if isinstance(each.get(OUTPUT), Mapping))
    return next(found, None)
