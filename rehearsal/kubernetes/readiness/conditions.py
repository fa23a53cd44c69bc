"""Reading the conditions in an object's status.

Source: https://kubernetes.io/docs/reference/kubernetes-api/definitions/condition-v1-meta/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernel.annotations import SETTING
from kernel.paths import look_up
from rehearsal.kubernetes.client import Object


def conditions_by_type(found: Object) -> Mapping[str, Mapping[str, Any]]:
    """An object's conditions, keyed by type."""
    return {condition["type"]: condition for condition in look_up(found, "status.conditions", ())}


def true_conditions(found: Object) -> Mapping[str, Mapping[str, Any]]:
    """An object's conditions whose status is True, keyed by type."""
    return {type_: condition for type_, condition in conditions_by_type(found).items() if condition["status"] == "True"}


def explain_condition(found: Object, type_: str) -> str:
    """The reason that a condition reports, with the setting that the object is declared for; empty if there is none."""
    condition = conditions_by_type(found).get(type_, {})
    reason = str(condition.get("message") or condition.get("reason") or "")
    setting = (found["metadata"].get("annotations") or {}).get(SETTING)
    return f"{reason} (from the setting {setting})" if reason and setting else reason
