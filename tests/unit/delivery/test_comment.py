"""The comment on a pull request: there is one, which is replaced and bounded, and a fork's hostile report is harmless.

`gh` is simulated, with the answers of GitHub's REST API; the tests prove which arguments it gets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from delivery import comment
from delivery.errors import DeliveryError
from reporting.__main__ import LEAST_LIMIT
from reporting.sections import LIMIT
from tests.support.fake_programs import FakePrograms, refuse

PROJECT, COMMIT = "acme/platform", "a" * 40
PULLS = f"gh api repos/{PROJECT}/pulls"
COMMENTS = f"gh api --paginate --slurp repos/{PROJECT}/issues/7/comments"
POST = f"gh api --method POST repos/{PROJECT}/issues/7/comments"
PATCH = f"gh api --method PATCH repos/{PROJECT}/issues/comments/3"


def github(comments: list[dict[str, Any]], commit: str = COMMIT) -> FakePrograms:
    pulls = [{"number": 6, "head": {"sha": "b" * 40}}, {"number": 7, "head": {"sha": commit}}]
    return FakePrograms({PULLS: pulls, COMMENTS: [comments], POST: "", PATCH: ""})


def list_writes(programs: FakePrograms) -> list[str]:
    return [line for line in programs.commands if "--method" in line]


def report(folder: Path, text: str, name: str = "aws-dev.md") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_first_report_is_a_new_comment_and_a_later_one_replaces_it(tmp_path: Path) -> None:
    path = report(tmp_path, "3 added")
    programs = github([{"id": 2, "user": {"type": "User"}, "body": f"{comment.MARKER} by a person"}])
    assert "pull request 7 has been written" in comment.post(programs, PROJECT, COMMIT, [path])
    assert list_writes(programs) == [f"{POST} --raw-field body={comment.MARKER}\n3 added\n --silent"]
    programs = github([{"id": 3, "user": {"type": "Bot"}, "body": f"{comment.MARKER}\nolder"}])
    assert "has been replaced" in comment.post(programs, PROJECT, COMMIT, [path])
    assert list_writes(programs) == [f"{PATCH} --raw-field body={comment.MARKER}\n3 added\n --silent"]


def test_a_commit_that_is_no_longer_the_head_gets_no_comment(tmp_path: Path) -> None:
    programs = github([], commit="c" * 40)
    assert "No open pull request" in comment.post(programs, PROJECT, COMMIT, [report(tmp_path, "x")])
    assert list_writes(programs) == []


@pytest.mark.parametrize("number", range(1, 8))
def test_reports_that_keep_to_their_share_are_all_in_the_comment(number: int) -> None:
    reports = [f"{index}" * comment.find_share(number) for index in range(number)]
    text = comment.compose(reports)
    assert all(report in text for report in reports)


def test_reports_that_do_not_fit_are_cut_and_the_comment_says_so() -> None:
    text = comment.compose(["x" * comment.find_share(9)] * 9)
    assert text.endswith("the run's summary has all of it._\n")


def test_a_share_is_a_valid_length_of_a_report() -> None:
    assert {LEAST_LIMIT <= comment.find_share(number) <= LIMIT for number in range(20)} == {True}


def test_a_text_of_any_length_is_cut_to_fit_and_says_so() -> None:
    text = comment.compose(["é" * 100_000, "second"])
    assert len(text) <= 65_536
    assert text.endswith("the run's summary has all of it._\n")
    assert text.startswith(comment.MARKER)


def test_nobody_is_mentioned_and_no_marker_is_forged() -> None:
    text = comment.compose([f"@acme/security\n{comment.MARKER}"])
    assert "@acme" not in text
    assert text.count("<!--") == 1


def test_a_comment_without_reports_says_that_no_stack_is_concerned() -> None:
    assert "No stack is concerned" in comment.compose([])


def test_a_report_that_is_not_a_file_is_rejected(tmp_path: Path) -> None:
    link = tmp_path / "link.md"
    link.symlink_to("/etc/passwd")
    with pytest.raises(DeliveryError, match=r"link\.md is not a file"):
        comment.post(github([]), PROJECT, COMMIT, [link])


@pytest.mark.parametrize(("project", "commit"), [("acme", COMMIT), (PROJECT, "main"), (PROJECT, f"{COMMIT}/../x")])
def test_an_invalid_repository_or_commit_is_rejected(project: str, commit: str) -> None:
    programs = github([])
    with pytest.raises(DeliveryError):
        comment.post(programs, project, commit, [])
    assert programs.commands == []


def test_githubs_own_reason_is_reported(tmp_path: Path) -> None:
    programs = FakePrograms({PULLS: refuse("HTTP 403: Resource not accessible by integration")})
    with pytest.raises(DeliveryError, match="GitHub does not accept the request: HTTP 403"):
        comment.post(programs, PROJECT, COMMIT, [report(tmp_path, "x")])
