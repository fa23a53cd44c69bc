"""What is elsewhere, such as the rest of the object that a patch changes, is told from what is not known yet.

Proves it of the properties themselves. test_carriers.py and test_workflow_objects.py have what carriers make of it.
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
        ("spec.replicas", True),  # what is not known is something else that it is compared with
        ("spec.replicas.deeper", True),
        ("spec.paused", False),
        ("spec.paused.deeper", False),
        ("spec.containers[1]", False),
        ("spec.containers[1].image", False),
    ],
)
def test_what_a_patch_leaves_out_is_elsewhere(path: str, elsewhere: bool) -> None:
    assert is_decided_elsewhere(PATCH, path) is elsewhere


@pytest.mark.parametrize("props", [{"spec": {}}, {"spec": UNKNOWN}, Unread(), {"spec": [UNKNOWN]}, {}])
def test_nothing_of_a_whole_object_is_elsewhere(props: Any) -> None:
    assert not is_decided_elsewhere(props, "spec.containers[0].image")


def test_only_what_is_named_is_elsewhere() -> None:
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


def test_what_is_not_known_is_left_out() -> None:
    props = {"a": UNKNOWN, "b": [UNKNOWN], "c": [UNKNOWN, {"d": UNKNOWN, "e": 1}], "f": []}
    assert keep_known(props) == {"c": [{"e": 1}], "f": []}
