"""The file of approvals: what is accepted, and one line for each mistake in it.

Proves the form. That an approval is wise, and was reviewed, is a matter of the repository's rules (CODEOWNERS).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from kernel.reviewed_entries import find_today
from kernel.stack_names import list_stacks
from plan_guard import ApprovalError, load_approvals
from rehearsal.toolchain import ROOT
from tests.support.previews import DATABASE, urn

TODAY = find_today()
ENTRY = {
    "stack": "team",
    "type": DATABASE,
    "name": "orders",
    "operation": "replace",
    "reason": "it is restored from the dump of today",
    "approver": "ada",
    "expires": TODAY + timedelta(days=7),
}
BY_URN = {key: value for key, value in ENTRY.items() if key not in ("type", "name")} | {"urn": urn(DATABASE, "orders")}


def write(folder: Path, *entries: object) -> Path:
    file = folder / "approvals.yaml"
    file.write_text(yaml.safe_dump(list(entries)))
    return file


def test_a_resource_is_named_by_type_and_name_or_by_urn(tmp_path: Path) -> None:
    assert [str(each) for each in load_approvals(write(tmp_path, ENTRY, BY_URN), ["team"])] == [
        f"the approval of ada to replace {DATABASE} orders in team",
        f"the approval of ada to replace {urn(DATABASE, 'orders')} in team",
    ]


def test_no_file_and_an_empty_one_approve_nothing(tmp_path: Path) -> None:
    file = tmp_path / "approvals.yaml"
    assert load_approvals(file) == []
    file.write_text("# nothing yet\n")
    assert load_approvals(file) == []


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"reason": ""}, "needs 'reason', a text"),
        ({"approver": None}, "needs 'approver', a text"),
        ({"expires": "soon"}, "needs 'expires', a day such as 2027-11-30"),
        ({"expiry": TODAY}, "has an unknown field 'expiry': did you mean 'expires'"),
        ({"operation": "replaced"}, r"has the operation 'replaced', which is none: did you mean 'replace'\?"),
        ({"stack": "taem"}, r"has the stack 'taem', which is none: did you mean 'team'\? \(known: other, team\)"),
        ({"type": "aws:rds/instance:Instanse"}, f"holds no data that the guard knows of: did you mean '{DATABASE}'"),
        ({"type": "aws:ec2/vpc:Vpc"}, "names the type 'aws:ec2/vpc:Vpc', which holds no data"),
        ({"urn": urn(DATABASE, "orders")}, "has to name its resource by `urn`, or else by `type` and `name`"),
        ({"expires": TODAY + timedelta(days=32)}, "later than an approval may hold: at most on"),
    ],
)
def test_a_mistake_has_one_line(tmp_path: Path, changed: dict[str, object], complaint: str) -> None:
    with pytest.raises(ApprovalError, match=complaint) as error:
        load_approvals(write(tmp_path, {**ENTRY, **changed}), ["other", "team"])
    assert str(error.value).count("\n") == 0
    assert str(error.value).startswith(f"{tmp_path.name}/approvals.yaml: the approval for ")


def test_a_urn_is_of_the_stack(tmp_path: Path) -> None:
    entry = {**BY_URN, "urn": urn(DATABASE, "orders", "other")}
    with pytest.raises(ApprovalError, match="has a URN of another stack: one of team begins with 'urn:pulumi:team::'"):
        load_approvals(write(tmp_path, entry))


def test_what_is_no_entry_and_no_list_is_said(tmp_path: Path) -> None:
    with pytest.raises(ApprovalError, match="'text' is not an entry with stack, operation, reason"):
        load_approvals(write(tmp_path, "text"))
    file = tmp_path / "approvals.yaml"
    file.write_text("stack: team")
    with pytest.raises(ApprovalError, match="has to be a list"):
        load_approvals(file)
    file.write_text("- stack: [team")
    with pytest.raises(ApprovalError, match="line 1, column 10: this is not YAML"):
        load_approvals(file)


def test_the_projects_own_approvals_are_well_formed_and_in_force() -> None:
    stacks = ROOT / "stacks"
    approvals = load_approvals(stacks / "approvals.yaml", list_stacks(stacks))
    assert [str(each) for each in approvals if each.expires < TODAY] == []
