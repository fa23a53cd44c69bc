"""Label selectors. Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from typing import Any

from rehearsal.kubernetes.client import Object


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector selects labels: an empty one selects all, None selects nothing."""
    if selector is None:
        return False
    required = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or ()
    return all(labels.get(key) == value for key, value in required.items()) and all(
        _satisfies(labels, expression) for expression in expressions
    )


def labels_of(found: Object) -> Mapping[str, str]:
    """An object's labels."""
    return found["metadata"].get("labels") or {}


def find_nearest(selector: Mapping[str, Any], candidates: Iterable[Object]) -> Object | None:
    """The object whose labels and name are most similar to a selector's; None if there are no candidates."""
    wanted = selector.get("matchLabels") or {}
    return max(candidates, key=lambda found: _similarity(wanted, found), default=None)


def _satisfies(labels: Mapping[str, str], expression: Mapping[str, Any]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:  # DoesNotExist
            return key not in labels


def _similarity(wanted: Mapping[str, str], found: Object) -> float:
    labels = labels_of(found)
    equal = sum(labels.get(key) == value for key, value in wanted.items())
    names = " ".join(wanted.values())
    return equal + SequenceMatcher(None, names, found["metadata"]["name"]).ratio()
