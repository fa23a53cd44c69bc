"""The rule between the settings of retraining."""

from __future__ import annotations

from collections.abc import Iterator

from infra.core.settings.faults import Fault
from infra.core.settings.stack_settings import Settings


def check_retraining(settings: Settings) -> Iterator[Fault]:
    """Only models that are retrained can be on the schedule."""
    retraining = settings.retraining
    unknown = [name for name in retraining.scheduled if name not in retraining.models]
    if unknown:
        yield Fault(
            "retraining.scheduled",
            f"names {', '.join(unknown)}, which is not in retraining.models",
            "add it to retraining.models, or remove it here",
            value=unknown,
            others=("retraining.models",),
        )
