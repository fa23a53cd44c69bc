"""The operations of a simulated cloud, on a toy cloud: create, read, update, diff, delete and invoke.

Proves the mechanism that all models share. The models have their own tests; tests/engine proves that the engine
understands the responses.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel.values import UNKNOWN
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.core.values import Values
from tests.support.toy_cloud import BOX, CLOUD, SAFE, SHELF


@pytest.fixture
def state() -> Iterator[StateStore]:
    store = StateStore(":memory:")
    yield store
    store.close()


@pytest.fixture
def toy(state: StateStore) -> Simulation:
    simulation = Simulation(CLOUD, state)
    simulation.create("urn::shelf", SHELF, Values({"name": "top"}), preview=False)
    return simulation


def create_box(toy: Simulation, name: str = "box", **inputs: Any) -> tuple[str, Values]:
    values = Values({"shelf": "shelf/top", "size": 3, **inputs})
    return toy.create(f"urn::{name}", BOX, values, preview=False)


def test_outputs_are_the_inputs_and_what_the_cloud_computes(toy: Simulation) -> None:
    id_, outputs = create_box(toy, color="red")
    assert outputs.plain == {
        "shelf": "shelf/top",
        "size": 3,
        "color": "red",
        "arn": f"arn:toy:attic:{id_}",
        "label": "3 red",
    }


def test_a_type_without_a_model_is_an_error(toy: Simulation) -> None:
    assert toy.check("urn::x", "toy:index:Crate", Values()) == (Values(), [])  # a preview continues
    with pytest.raises(CloudError, match=r"no model of toy:index:Crate\. .*CONTRIBUTING"):
        toy.create("urn::x", "toy:index:Crate", Values(), preview=False)


@pytest.mark.parametrize(
    ("inputs", "reasons"),
    [
        ({"size": 3}, ["missing required property 'shelf'"]),
        ({"shelf": "s", "size": 10}, ["SizeOutOfRange: 10"]),
        ({"shelf": "s", "size": 3, "color": "green"}, ["UnknownColor: green"]),
        ({"shelf": "s", "size": 3, "tag": "A1"}, ["BadTag: A1"]),
        ({"shelf": UNKNOWN, "size": UNKNOWN, "color": UNKNOWN, "tag": UNKNOWN}, []),
    ],
)
def test_rules_check_what_is_known(toy: Simulation, inputs: dict[str, Any], reasons: list[str]) -> None:
    assert toy.check("urn::x", BOX, Values({"room": "attic", **inputs})) == (
        Values({"room": "attic", **inputs}),
        reasons,
    )


def test_a_preview_creates_nothing_and_leaves_outputs_unknown(toy: Simulation, state: StateStore) -> None:
    id_, outputs = toy.create("urn::x", BOX, Values({"shelf": UNKNOWN, "size": 3}), preview=True)
    assert id_ == ""
    assert outputs.plain["arn"] is UNKNOWN
    assert list(state.all(BOX)) == []


def test_a_reference_to_a_missing_resource_is_refused(toy: Simulation) -> None:
    with pytest.raises(CloudError, match="NotFound: shelf/bottom"):
        create_box(toy, shelf="shelf/bottom")


def test_a_name_that_is_in_use_is_rejected(toy: Simulation) -> None:
    with pytest.raises(CloudError, match='"shelf/top" already exists'):
        toy.create("urn::other", SHELF, Values({"name": "top"}), preview=False)


def test_a_resource_in_use_cannot_be_deleted(toy: Simulation) -> None:
    id_, _ = create_box(toy)
    with pytest.raises(CloudError, match=rf"shelf/top is in use by {id_}"):
        toy.delete("urn::shelf", SHELF, "shelf/top")
    toy.delete("urn::box", BOX, id_)
    toy.delete("urn::shelf", SHELF, "shelf/top")
    assert toy.read(SHELF, "shelf/top", Values(), Values()) is None


def test_a_delete_rule_refuses_a_deletion(toy: Simulation) -> None:
    id_, _ = create_box(toy, sealed=True)
    with pytest.raises(CloudError, match="BoxIsSealed"):
        toy.delete("urn::box", BOX, id_)


def test_deleting_a_missing_resource_succeeds(toy: Simulation) -> None:
    toy.delete("urn::box", BOX, "box-000000000000")


@pytest.mark.parametrize(
    ("new", "changed", "replaces"),
    [
        ({"shelf": "a", "size": 3}, [], []),
        ({"shelf": "a", "size": 4}, ["size"], []),
        ({"shelf": "b", "size": 3}, ["shelf"], ["shelf"]),
        ({"shelf": "a", "size": 3, "lock": {"kind": "iron"}}, ["lock"], ["lock"]),
    ],
)
def test_a_difference_lists_what_forces_a_replacement(
    toy: Simulation, new: dict[str, Any], changed: list[str], replaces: list[str]
) -> None:
    difference = toy.diff("urn::x", BOX, "box-1", Values({"shelf": "a", "size": 3}), Values(new))
    assert (difference.changed, difference.replaces) == (changed, replaces)


def test_only_the_changed_property_of_an_object_counts(toy: Simulation) -> None:
    old, new = ({"shelf": "a", "lock": {"kind": "iron", "color": color}} for color in ("red", "blue"))
    assert toy.diff("urn::x", BOX, "box-1", Values(old), Values(new)).replaces == []


def test_a_changed_key_with_dots_is_written_as_pulumi_writes_it(toy: Simulation) -> None:
    old, new = (Values({"shelf": "a", "labels": {"example.com/owner": owner}}) for owner in ("ml", "ops"))
    assert toy.diff("urn::x", BOX, "box-1", old, new).changed == ['labels["example.com/owner"]']


def test_a_replacement_with_the_same_id_is_deleted_first(toy: Simulation) -> None:
    same = toy.diff("urn::shelf", SHELF, "shelf/top", Values({"name": "old"}), Values({"name": "top"}))
    other = toy.diff("urn::shelf", SHELF, "shelf/top", Values({"name": "top"}), Values({"name": "low"}))
    assert same.delete_before_replace
    assert not other.delete_before_replace


@pytest.mark.parametrize(
    ("old", "new", "deletes_first"),
    [
        ({"tag": "mine"}, {"tag": "mine"}, True),
        ({"tag": "mine"}, {"tag": "yours"}, False),
        ({"tag": "mine"}, {"tag": UNKNOWN}, True),
        ({"tag": "mine"}, {}, False),
        ({}, {}, False),
    ],
)
def test_a_replacement_with_the_same_name_is_deleted_first(
    toy: Simulation, old: dict[str, Any], new: dict[str, Any], deletes_first: bool
) -> None:
    before, after = Values({"shelf": "a", "size": 3, **old}), Values({"shelf": "b", "size": 3, **new})
    difference = toy.diff("urn::x", BOX, "box-1", before, after)
    assert "shelf" in difference.replaces
    assert difference.delete_before_replace is deletes_first


def test_an_update_without_a_replacement_deletes_nothing_first(toy: Simulation) -> None:
    before, after = (Values({"shelf": "a", "size": size, "tag": "mine"}) for size in (3, 4))
    assert not toy.diff("urn::x", BOX, "box-1", before, after).delete_before_replace


def test_a_replacement_gets_another_id(toy: Simulation) -> None:
    first, _ = create_box(toy)
    second, _ = create_box(toy)
    assert first != second


def test_an_update_keeps_the_id_and_computes_outputs_again(toy: Simulation) -> None:
    id_, outputs = create_box(toy, color="red")
    news = Values({"shelf": "shelf/top", "size": 3, "color": "blue"})
    updated = toy.update("urn::box", BOX, id_, news, outputs, preview=False)
    assert updated.plain["arn"] == outputs.plain["arn"]
    assert updated.plain["label"] == "3 blue"


def preview_update(toy: Simulation, type_: str, id_: str, outputs: Values, **inputs: Any) -> dict[str, Any]:
    return toy.update("urn::box", type_, id_, Values(inputs), outputs, preview=True).plain


def test_a_preview_of_an_update_knows_outputs_that_do_not_depend_on_the_change(toy: Simulation) -> None:
    id_, outputs = create_box(toy, color="red")
    inputs = {"shelf": "shelf/top", "size": 3, "color": "red"}
    assert preview_update(toy, BOX, id_, outputs, **inputs) == outputs.plain
    for change in ({"color": "blue"}, {"size": 4}, {"color": UNKNOWN}):
        preview = preview_update(toy, BOX, id_, outputs, **{**inputs, **change})
        assert (preview["label"], preview["arn"]) == (UNKNOWN, outputs.plain["arn"])


def test_a_model_may_declare_which_outputs_are_stable(toy: Simulation) -> None:
    _, outputs = toy.create("urn::safe", SAFE, Values({"name": "s"}), preview=False)
    preview = preview_update(toy, SAFE, "safe/s", outputs, name="s")
    assert preview == {"name": "s", "code": outputs.plain["code"], "weight": UNKNOWN}


def test_a_transition_is_refused_in_the_preview_and_in_the_update(toy: Simulation) -> None:
    id_, outputs = create_box(toy)
    news = Values({"shelf": "shelf/top", "size": 2})
    for preview in (True, False):
        with pytest.raises(CloudError, match="BoxShrinks: 3 to 2"):
            toy.update("urn::box", BOX, id_, news, outputs, preview=preview)


def test_a_default_is_added_and_kept_for_existing_resources(toy: Simulation) -> None:
    inputs = Values({"shelf": "a", "size": 3})
    assert toy.check("urn::x", BOX, inputs)[0].plain["room"] == "attic"
    old, _ = toy.check("urn::x", BOX, inputs)
    toy.configure({"region": "garage"})
    kept, _ = toy.check("urn::x", BOX, inputs, old)
    new, _ = toy.check("urn::x", BOX, inputs)
    assert (kept.plain["room"], new.plain["room"]) == ("attic", "garage")
    assert toy.diff("urn::x", BOX, "box-1", old, new).replaces == ["room"]


def test_a_new_default_replaces_nothing(toy: Simulation) -> None:
    old, new = (Values({"shelf": "a", "size": 3, **room}) for room in ({}, {"room": "attic"}))
    assert toy.diff("urn::x", BOX, "box-1", old, new).replaces == []


def test_an_update_of_a_missing_resource_is_refused(toy: Simulation) -> None:
    with pytest.raises(CloudError, match="deleted outside Pulumi"):
        toy.update("urn::x", BOX, "box-1", Values({"shelf": "shelf/top", "size": 1}), Values(), preview=False)


def test_a_generated_secret_survives_an_update(toy: Simulation) -> None:
    _, outputs = toy.create("urn::safe", SAFE, Values({"name": "s"}), preview=False)
    outputs.plain["code"] = "chosen-long-ago"
    updated = toy.update("urn::safe", SAFE, "safe/s", Values({"name": "s", "size": 2}), outputs, preview=False)
    assert updated.plain["code"] == "chosen-long-ago"
    assert ("code",) in updated.secrets


def test_an_unknown_function_is_refused_and_secret_results_are_secret(toy: Simulation) -> None:
    with pytest.raises(CloudError, match="no model of toy:index:getNothing"):
        toy.invoke("toy:index:getNothing", Values())
    result = toy.invoke("toy:index:getCode", Values({"of": "safe"}))
    assert (result.plain, result.secrets) == ({"code": "safe-attic"}, {("code",)})


def test_configuration_can_be_refused(toy: Simulation) -> None:
    with pytest.raises(CloudError, match="flooded"):
        toy.configure({"region": "cellar"})


def test_every_operation_is_in_the_journal(tmp_path: Path) -> None:
    state = StateStore(tmp_path / "state.db")
    simulation = Simulation(CLOUD, state)
    simulation.create("urn::shelf", SHELF, Values({"name": "top"}), preview=False)
    with pytest.raises(CloudError):
        simulation.create("urn::shelf", SHELF, Values({"name": "top"}), preview=False)
    assert [(line.operation, line.outcome.split(":")[0]) for line in state.read_journal()] == [
        ("create", "done"),
        ("create", "refused"),
    ]
    state.close()
