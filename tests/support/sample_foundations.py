"""The clouds' own foundations, as the program declares them against the simulated clouds. Proves nothing.

Many tests read the same few foundations, so each is recorded once in a process.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from infra.contract import Foundation
from tests.support.recording import Recorder, record_program, stack_context


@dataclass(frozen=True)
class RecordedFoundation:
    """A foundation's declared resources, and its contract, whose outputs can no longer be resolved."""

    recorder: Recorder
    foundation: Foundation


_recorded: dict[str, RecordedFoundation] = {}


def record_foundation(cloud: str, environment: str = "dev", **settings: Any) -> RecordedFoundation:
    """The foundation of a stack, recorded once in a process for the same settings; callers must not change it.

    A test that changes the state of the clouds, or deploys once more, records its own.
    """
    context = stack_context(cloud, environment, **settings)
    key = f"{context.naming.stack} {context.settings.model_dump_json()}"
    if key not in _recorded:
        create = import_module(f"infra.{cloud}").create_foundation
        _recorded[key] = RecordedFoundation(*record_program(lambda: create(context), context.naming.stack))
    return _recorded[key]
