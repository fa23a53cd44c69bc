"""Properties that are elsewhere, such as in the object that a patch changes, differ from those that are not known yet.

Proves it for the properties themselves. test_carriers.py and test_workflow_objects.py prove how carriers use it.
"""

from __future__ import annotations

from typing import Any

import pytest

from kernel.values import UNKNOWN
from policies.engine.partial import Partial, Unread, as_partial, is_decided_elsewhere, keep_known

PATCH = as_partial({"spec": {"replicas": 2, "paused": UNKNOWN, "none": None, "containers": [{"name": "a"}, UNKNOWN]}})


@pytest.mark.parametrize(
    ("path", "elsewhere"),
    [
        ("metadata.name", True),
        ("spec.template.spec.hostNetwork", True),
        ("spec.containers[0].image", True),
        ("spec.containers[2].image", True),
        ("spec.replicas", True),  # an unknown result then comes from another property
        ("spec.replicas.deeper", True),
        ("spec.paused", False),
        ("spec.paused.deeper", False),
        ("spec.containers[1]", False),
        ("spec.containers[1].image", False),
    ],
)
def test_properties_that_a_patch_omits_are_elsewhere(path: str, elsewhere: bool) -> None:
    assert is_decided_elsewhere(PATCH, path) is elsewhere


@pytest.mark.parametrize("props", [{"spec": {}}, {"spec": UNKNOWN}, Unread(), {"spec": [UNKNOWN]}, {}])
def test_no_property_of_a_complete_object_is_elsewhere(props: Any) -> None:
    assert not is_decided_elsewhere(props, "spec.containers[0].image")


def test_only_named_properties_are_elsewhere() -> None:
    spec = Partial({"containers": [{}]}, {"serviceAccountName"})
    assert (spec.get("serviceAccountName"), spec.get("hostNetwork")) == (UNKNOWN, None)
    props = {"spec": spec}
    assert is_decided_elsewhere(props, "spec.serviceAccountName")
    assert not is_decided_elsewhere(props, "spec.hostNetwork")
    assert not is_decided_elsewhere(props, "spec.containers[0].image")


def test_null_is_set_in_a_patch() -> None:
    assert PATCH["spec"].get("none") is None
    assert PATCH["spec"].get("other") is UNKNOWN
    assert Unread({"a": 1}).get("b") is UNKNOWN


def test_unknown_values_are_removed() -> None:
    props = {"a": UNKNOWN, "b": [UNKNOWN], "c": [UNKNOWN, {"d": UNKNOWN, "e": 1}], "f": []}
    assert keep_known(props) == {"c": [{"e": 1}], "f": []}
