"""The replacements and deletions of a preview, read from its JSON in both formats that the engine writes.

Proves that JSON in the format of engine 3.255.0 is read, and that an incomplete or failed preview, or one in another
format, is rejected with one message. tests/engine/test_plan_guard.py proves that the real engine writes this format.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from plan_guard import Plan, PlanError, PlannedChange, read_plan
from plan_guard.plan import Operation
from tests.support.previews import BUCKET, DATABASE, RULE, document, events, step, urn

FORMS = pytest.mark.parametrize("form", [document, events])


@FORMS
def test_replacements_and_deletions_are_the_plan(form: Callable[..., str]) -> None:
    text = form(
        step("create", RULE, "new"),
        step("update", BUCKET, "files"),
        step("create-replacement"),
        step("replace", causes=["storageEncrypted", "tags.a"]),
        step("delete-replaced"),
        step("delete", BUCKET, "old", protect=True, retain=True),
    )
    assert read_plan(text, "p.json") == Plan(
        "team",
        [
            PlannedChange(urn(DATABASE, "orders"), Operation.REPLACE, ("storageEncrypted", "tags.a")),
            PlannedChange(urn(BUCKET, "old"), Operation.DELETE, (), is_protected=True, is_retained=True),
        ],
    )


@FORMS
def test_a_resource_left_by_an_interrupted_replacement_is_a_deletion(form: Callable[..., str]) -> None:
    assert [change.operation for change in read_plan(form(step("delete-replaced")), "p").changes] == ["delete"]


@FORMS
def test_without_details_the_causes_are_names_of_properties(form: Callable[..., str]) -> None:
    [change] = read_plan(form({**step("replace", causes=["location"]), "detailedDiff": None}), "p").changes
    assert (change.type, change.name, change.causes) == (DATABASE, "orders", ("location",))


@FORMS
def test_a_preview_without_changes_is_a_plan(form: Callable[..., str]) -> None:
    assert read_plan(form(), "p") == Plan("team", [])


def test_a_name_may_have_colons() -> None:
    assert read_plan(document(step("delete", name="a::b")), "p").changes[0].name == "a::b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"p.json is not the JSON of a preview. Write it with `pulumi preview --json"),
        ("Previewing update (team)\n", r"p.json, line 1, is not JSON: Expecting value"),
        (events(step("delete"))[:-40], r"p.json, line 5, is not JSON"),
        ('["steps"]', r"not the JSON of a preview"),
        ('{"version": 3, "deployment": {}}', r"not the JSON of a preview"),
        ("3", r"not the JSON of a preview"),
        (document(step("delete"), changeSummary=None), r"has no summary.*was interrupted"),
        ("".join(events(step("delete")).splitlines(keepends=True)[:-2]), r"has no summary.*was interrupted"),
        (
            document(diagnostics=[{"severity": "error", "message": "<{%fg 1%}>error: no such region<{%reset%}>\n"}]),
            r"is from a preview that failed, so it does not list all changes: error: no such region Fix that",
        ),
        (
            events() + json.dumps({"timestamp": 1, "diagnosticEvent": {"severity": "error", "message": "no"}}),
            "from a preview that failed",
        ),
        (document(step("vanish")), r"has the operation 'vanish', so it is from a version of Pulumi that"),
        (document({"op": "delete"}), r"has a step without operation or URN, so it is from a version"),
        (document({**step("delete"), "urn": "orders"}), r"has the URN 'orders', so it is from a version"),
        (document(changeSummary={"delete": 2}), r"has a summary with 2 of 'delete', and lists 0"),
        (document(steps={}), r"has steps, diagnostics or a summary of another form"),
        (events(step("delete")).replace('"metadata"', '"meta"'), r"has a resource without metadata"),
    ],
)
def test_an_incomplete_preview_is_rejected_with_one_message(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message) as error:
        read_plan(text, "p.json")
    assert "\n" not in str(error.value)
