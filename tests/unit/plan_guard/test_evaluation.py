"""Which losses stop a deployment, what approves them, and the notes about approvals that match nothing.

Proves the comparison of plans with approvals, and the command on files. tests/engine/test_plan_guard.py has files of
the real engine.
"""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from kernel.reviewed_entries import find_today
from plan_guard import Approval, PlanEvaluation, evaluate_plan, read_plan
from plan_guard.__main__ import main
from tests.support.previews import BUCKET, DATABASE, RULE, document, step, urn

TODAY = find_today()


def evaluate(*steps: object, approvals: list[Approval] | None = None) -> PlanEvaluation:
    return evaluate_plan(read_plan(document(*steps), "p"), approvals or [], TODAY)  # type: ignore[arg-type]


def approval(operation: str = "replace", days: int = 0, **other: str) -> Approval:
    subject = other if "urn" in other else {"type": DATABASE, "name": "orders", **other}
    return Approval(**{"stack": "team", **subject}, operation=operation, reason="why", approver="ada",
                    expires=TODAY + timedelta(days=days))  # fmt: skip


@pytest.mark.parametrize("operation", ["replace", "delete"])
def test_a_loss_without_approval_is_refused_with_an_entry_to_review(operation: str) -> None:
    refusal = evaluate(step(operation, causes=["location"])).refuse("stacks/approvals.yaml", TODAY)
    verb = {"replace": "replaced because of location", "delete": "deleted"}[operation]
    loss = f"{DATABASE} orders is {verb}, and with it its databases"
    assert refusal.startswith(f"team would lose data without approval:\n  - {loss}\n")
    [entry] = yaml.safe_load(refusal[refusal.index("- stack:") :])
    assert (entry["urn"], entry["operation"], entry["stack"]) == (urn(DATABASE, "orders"), operation, "team")


def test_other_changes_and_types_without_data_are_not_losses() -> None:
    evaluation = evaluate(step("update"), step("create", BUCKET), step("replace", RULE), step("delete", RULE, "old"))
    assert (evaluation.refuse("f", TODAY), evaluation.describe()) == ("", "")


@pytest.mark.parametrize("by", [{}, {"urn": urn(DATABASE, "orders")}])
def test_an_approval_allows_one_loss_until_the_end_of_its_last_day(by: dict[str, str]) -> None:
    evaluation = evaluate(step("replace"), step("delete", BUCKET, "files"), approvals=[approval("replace", 0, **by)])
    assert f"{DATABASE} orders is replaced, and with it its databases: approved by ada" in evaluation.describe()
    assert f"{DATABASE} orders" not in evaluation.refuse("f", TODAY)
    assert f"{BUCKET} files is deleted" in evaluation.refuse("f", TODAY)


def test_an_expired_approval_is_named_and_approves_nothing() -> None:
    refusal = evaluate(step("replace"), approvals=[approval(days=-1)]).refuse("f", TODAY)
    assert f"its databases. The approval of ada expired on {TODAY - timedelta(days=1)}" in refusal


@pytest.mark.parametrize(
    ("idle", "hint"),
    [
        (approval(name="ordres"), f"Did you mean '{DATABASE} orders'?"),
        (approval("delete"), "It is planned to replace it."),
        (approval(type=BUCKET, name="files"), "Remove it."),
    ],
)
def test_an_approval_that_matches_no_loss_is_noted_and_approves_nothing(idle: Approval, hint: str) -> None:
    evaluation = evaluate(step("replace"), approvals=[idle])
    assert evaluation.describe() == f"T{str(idle)[1:]} matches no planned loss. {hint}"
    assert evaluation.refuse("f", TODAY)


def test_an_approval_of_another_stack_is_neither_used_nor_noted() -> None:
    evaluation = evaluate(step("replace"), approvals=[approval(stack="other")])
    assert evaluation.refuse("f", TODAY)
    assert evaluation.describe() == ""


def test_one_approval_does_not_cover_two_resources_of_a_name() -> None:
    other = {**step("replace"), "urn": f"urn:pulumi:team::shop::{DATABASE}::orders"}
    refusal = evaluate(step("replace"), other, approvals=[approval()]).refuse("f", TODAY)
    assert refusal.count("matches several resources: approve each by its `urn`") == 2


def test_a_retained_resource_is_a_loss_only_if_an_empty_one_replaces_it() -> None:
    evaluation = evaluate(step("delete", retain=True))
    assert evaluation.refuse("f", TODAY) == ""
    assert "orders leaves the stack and stays in the cloud with its data" in evaluation.describe()
    refusal = evaluate(step("replace", retain=True)).refuse("f", TODAY)
    assert "the old one stays in the cloud, and the new one is empty" in refusal


def test_packages_that_the_list_does_not_cover_are_noted() -> None:
    evaluation = evaluate(
        step("delete", "gcp:sql/databaseInstance:DatabaseInstance"), step("replace", "gcp:x/y:Y", "z")
    )
    assert evaluation.refuse("f", TODAY) == ""
    assert evaluation.describe().startswith("Not checked: 2 of the package 'gcp'")


@pytest.mark.parametrize(
    "version", ["azure-native:cosmosdb/v20240515:DatabaseAccount", "azure-native:documentdb:DatabaseAccount"]
)
def test_versions_of_azures_api_and_former_names_make_no_difference(version: str) -> None:
    assert "its databases" in evaluate(step("delete", version)).refuse("f", TODAY)


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["plan_guard", *map(str, arguments)])
    code = main()
    return code, capsys.readouterr().err


def test_the_command_fails_until_the_entries_that_it_prints_are_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    preview, approvals = tmp_path / "preview.json", tmp_path / "approvals.yaml"
    preview.write_text(document(step("replace")))
    code, error = run(monkeypatch, capsys, preview, "--approvals", approvals)
    assert (code, error.count("error: ")) == (1, 1)
    entry = re.sub(r"(reason|approver):", r"\1: ada", error[error.index("- stack:") :])
    approvals.write_text(entry)
    code, error = run(monkeypatch, capsys, preview, "--approvals", approvals)
    assert code == 0
    assert "approved by ada" in error


def test_the_command_reports_unreadable_files_in_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, capsys, tmp_path / "none.json") == (
        1,
        f"error: {tmp_path / 'none.json'} cannot be read: No such file or directory.\n",
    )
    (tmp_path / "p.json").write_bytes(b"\xff")
    assert "cannot be read: it is not UTF-8" in run(monkeypatch, capsys, tmp_path / "p.json")[1]
