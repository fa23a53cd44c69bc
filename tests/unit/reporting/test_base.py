"""The base of a report: which commit it is, and what is stored of it.

Git is real; the engine is replaced, and tests/engine/test_report.py has the real one.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from rehearsal import project
from rehearsal.console import UserError
from rehearsal.session import Rehearsal
from reporting import base
from reporting.base import Base, NotComparableError, bring_up, find_base

pytestmark = pytest.mark.process

PROJECT = {
    "Pulumi.yaml": "name: letters\nruntime: python\nstackConfigDir: stacks\n",
    "rehearsal.yaml": "stacks: stacks\n",
    "stacks/Pulumi.test.yaml": "config: {}\n",
}


def git(folder: Path, *arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.com", "-C", str(folder), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a stack `new` on `main`, but not on the branch `old`."""
    for name, content in PROJECT.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Begin")
    git(tmp_path, "branch", "old")
    (tmp_path / "stacks" / "Pulumi.new.yaml").write_text("config: {}\n")
    return tmp_path


def test_a_reference_is_a_commit(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    assert find_base(repository, "old") == Base("old", commit)
    assert find_base(repository, commit[:10]).commit == commit


@pytest.mark.parametrize("reference", ["none", "HEAD~7", "--upload-pack=x", "$(id)", "HEAD:stacks"])
def test_the_error_of_an_invalid_reference_has_a_remedy(repository: Path, reference: str) -> None:
    with pytest.raises(UserError, match="BASE=") as raised:
        find_base(repository, reference)
    assert "Name a branch" in str(raised.value)


def test_a_stack_that_the_base_does_not_have_is_new(repository: Path) -> None:
    rehearsal = Rehearsal("new", "report", project.load(repository))
    with pytest.raises(NotComparableError, match="old has no stack new, so all of it is new"):
        bring_up(find_base(repository, "old"), rehearsal, Path("engine"))
    assert "Pulumi.new" in git(repository, "status", "--porcelain")


def test_a_base_that_was_brought_up_is_stored_for_its_commit(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal, calls = Rehearsal("test", "report", project.load(repository)), []

    def deploy(deployed: Base, _: Rehearsal, __: Path, folder: Path) -> None:
        calls.append(deployed)
        (folder / "state" / "backend").mkdir(parents=True)
        (folder / "state" / "passphrase").write_text("secret")
        (folder / "state" / "state.db").write_text(f"state {len(calls)}")

    monkeypatch.setattr(base, "_deploy", deploy)
    found = find_base(repository, "old")
    bring_up(found, rehearsal, Path("engine"))
    (rehearsal.folder / "state.db").write_text("changed by a preview")
    bring_up(found, rehearsal, Path("engine"))
    assert len(calls) == 1
    assert (rehearsal.folder / "state.db").read_text() == "state 1"

    # A base that another version stored is brought up again.
    [marker] = repository.glob(".groundwork/reports/test/*/complete.json")
    marker.write_text(json.dumps({"version": 0}))
    bring_up(found, rehearsal, Path("engine"))
    assert (rehearsal.folder / "state.db").read_text() == "state 2"


def test_a_base_with_a_link_out_of_the_project_is_not_unpacked(repository: Path) -> None:
    (repository / "passwords").symlink_to("/etc/passwd")
    git(repository, "add", "passwords")
    git(repository, "commit", "--quiet", "--message", "Link")
    rehearsal = Rehearsal("test", "report", project.load(repository))
    with pytest.raises(NotComparableError, match="The files of main cannot be unpacked"):
        bring_up(find_base(repository, "main"), rehearsal, Path("engine"))
