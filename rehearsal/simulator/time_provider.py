"""The simulated `time` provider, in which waiting takes no time."""

from __future__ import annotations

from rehearsal.simulator.core.cloud import Cloud
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel
from rehearsal.simulator.core.rules import matches
from rehearsal.simulator.core.standalone_provider import StandaloneProvider

_DURATION = r"[0-9]+(\.[0-9]+)?(ms|s|m|h)"
_MODELS = (
    ResourceModel(
        "time:index/sleep:Sleep",
        id="{hex:16}",  # the real provider's ID is the time of the creation, but here IDs must be unique
        replace_on_changes=("triggers",),
        transitions=UNRESTRICTED,
        rules=tuple(
            matches(path, _DURATION, "'{value}' is not a valid duration: use a number and a unit, such as 5s or 1.5m")
            for path in ("createDuration", "destroyDuration")
        ),
    ),
)


CLOUD: Cloud = StandaloneProvider("time", _MODELS)
