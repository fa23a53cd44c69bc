"""Differences that a provider ignores: the cloud keeps its own value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearsal.simulator.core.resource_model import ResourceModel
from rehearsal.simulator.core.values import Values


def suppress(model: ResourceModel, known: Mapping[str, Any], declared: Values, present: Mapping[str, Any]) -> Values:
    """The declared inputs, with the cloud's own values of those that the provider does not send.

    known    the resource's properties as the engine knows them, with which the provider compares
    present  the resource's inputs in the cloud
    """
    kept = {
        name: present[name]
        for name, is_suppressed in model.suppressed_if.items()
        if name in present and (known.get(name) == declared.plain.get(name) or is_suppressed(known, declared.plain))
    }
    return Values({**declared.plain, **kept}, declared.secrets) if kept else declared
