"""The file of approvals: what is accepted, and one line for each mistake in it.

Proves the format. Whether an approval is wise, and was reviewed, is a matter of the repository's rules (CODEOWNERS).
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
    "reason": "it is restored from today's dump",
    "approver": "ada",
    "expires": TODAY + timedelta(days=7),
}
BY_URN = {key: value for key, value in ENTRY.items() if key not in ("type", "name")} | {"urn": urn(DATABASE, "orders")}


def write(folder: Path, *entries: object) -> Path:
    file = folder / "approvals.yaml"
    file.write_text(yaml.safe_dump(list(entries)))
    return file


def test_a_resource_is_identified_by_type_and_name_or_by_urn(tmp_path: Path) -> None:
    assert [str(each) for each in load_approvals(write(tmp_path, ENTRY, BY_URN), ["team"])] == [
        f"the approval of ada to replace {DATABASE} orders in team",
        f"the approval of ada to replace {urn(DATABASE, 'orders')} in team",
    ]


def test_a_missing_and_an_empty_file_approve_nothing(tmp_path: Path) -> None:
    file = tmp_path / "approvals.yaml"
    assert load_approvals(file) == []
    file.write_text("# nothing yet\n")
    assert load_approvals(file) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"reason": ""}, "needs 'reason', text, in quotes if"),
        ({"approver": None}, "needs 'approver', text"),
        ({"expires": "soon"}, "needs 'expires', a day such as 2027-11-30"),
        ({"expiry": TODAY}, "has an unknown field 'expiry': did you mean 'expires'"),
        ({"operation": "replaced"}, r"has an unknown operation 'replaced': did you mean 'replace'\?"),
        ({"stack": "taem"}, r"has an unknown stack 'taem': did you mean 'team'\? \(known: other, team\)"),
        ({"type": "aws:rds/instance:Instanse"}, f"holds no data that the guard knows of: did you mean '{DATABASE}'"),
        ({"type": "aws:ec2/vpc:Vpc"}, "names the type 'aws:ec2/vpc:Vpc', which holds no data"),
        ({"urn": urn(DATABASE, "orders")}, "must name its resource either by `urn`, or by `type` and `name`"),
        ({"expires": TODAY + timedelta(days=32)}, "too late: an approval may expire on .* at the latest"),
    ],
)
def test_each_mistake_is_reported_in_one_line(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    with pytest.raises(ApprovalError, match=message) as error:
        load_approvals(write(tmp_path, {**ENTRY, **changed}), ["other", "team"])
    assert str(error.value).count("\n") == 0
    assert str(error.value).startswith(f"{tmp_path.name}/approvals.yaml: the approval for ")


def test_a_urn_of_another_stack_is_rejected(tmp_path: Path) -> None:
    entry = {**BY_URN, "urn": urn(DATABASE, "orders", "other")}
    with pytest.raises(ApprovalError, match="has a URN of another stack: URNs of team begin with 'urn:pulumi:team::'"):
        load_approvals(write(tmp_path, entry))


def test_other_yaml_than_a_list_of_entries_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ApprovalError, match="'text' is not an entry with stack, operation, reason"):
        load_approvals(write(tmp_path, "text"))
    file = tmp_path / "approvals.yaml"
    file.write_text("stack: team")
    with pytest.raises(ApprovalError, match="must be a list"):
        load_approvals(file)
    file.write_text("- stack: [team")
    with pytest.raises(ApprovalError, match="line 1, column 10: this is not YAML"):
        load_approvals(file)


def test_the_projects_own_approvals_are_valid_and_have_not_expired() -> None:
    stacks = ROOT / "stacks"
    approvals = load_approvals(stacks / "approvals.yaml", list_stacks(stacks))
    assert [str(each) for each in approvals if each.expires < TODAY] == []
