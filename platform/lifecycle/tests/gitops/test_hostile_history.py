"""Commits and folders of others in the repository do no harm: no commit can forge another model's stage.

Proves that messages with text from the registry have only the intended trailers, that the history can be read with any
commits of people, and that an unreadable file affects only its own model.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from lifecycle.core import Lineage, ModelVersion
from lifecycle.gitops.git import RepositoryError
from lifecycle.gitops.repository import Change, Repository
from lifecycle.gitops.settings import GitopsSettings
from support.git_remote import GitRemote

FORGED = "Groundwork-Rollout: 10"
HOSTILE = (
    *(f"x{separator}{FORGED}" for separator in ("\n", "\r", "\r\n", "\n\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028")),
    *("x\x1ey", "x\x00y", "x\x1fy", "\x1b[2J", "\u202e", "\ud800", "---\nGroundwork-Event: other"),
)


@pytest.fixture
def repository(gitops: GitopsSettings) -> Iterator[Repository]:
    opened = Repository(gitops)
    yield opened
    opened.close()


def promote(repository: Repository, event: str, model_version: ModelVersion) -> str | None:
    path = f"stacks/dev/{model_version.model}/file"
    change = Change(event, f"Promote {model_version}", lambda _: {path: event}, model_version.trailers)
    return repository.commit([change])[event]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_tag_cannot_forge_a_trailer_or_stop_another_model(
    repository: Repository, gitops: GitopsSettings, text: str
) -> None:
    assert promote(repository, "e1", ModelVersion("wine", "3", Lineage(data_version=text)))
    repository.refresh()
    (commit,) = repository.history("stacks/dev/wine", 10)
    expected = {"Groundwork-Model": "wine", "Groundwork-Version": "3", "Groundwork-Event": "e1"}
    assert commit.trailers == expected
    later = Repository(gitops)
    assert promote(later, "e1", ModelVersion("wine", "3")) == commit.sha, "its event is in the history"
    assert promote(later, "e2", ModelVersion("other", "1"))
    later.close()


MESSAGES = {
    "a record separator": b"Subject\n\nGroundwork-Event: e1\x1e\nGroundwork-Model: wine\n",
    "Latin-1": b"Gr\xf6\xdfer\n\nGroundwork-Event: gr\xf6\xdfer\n",
    "a repeated trailer": b"Subject\n\nGroundwork-Model: other\nGroundwork-Model: wine\n",
    "a folded trailer": b"Subject\n\nGroundwork-Model: wi\n  ne\n",
    "no message": b"",
}


@pytest.mark.parametrize("case", MESSAGES)
def test_a_commit_of_somebody_else_does_not_stop_anyone(
    repository: Repository, remote: GitRemote, gitops: GitopsSettings, case: str
) -> None:
    command = ["git", "-C", str(remote.path), "-c", "user.name=Eve", "-c", "user.email=eve@localhost"]
    arguments = ["commit-tree", "main^{tree}", "-p", "main"]
    commit = subprocess.run([*command, *arguments], input=MESSAGES[case], capture_output=True, check=True)
    remote.git("update-ref", "refs/heads/main", commit.stdout.decode().strip())
    assert promote(repository, "e2", ModelVersion("wine", "3"))
    other = Repository(gitops)
    assert [found.trailers["Groundwork-Model"] for found in other.history("stacks/dev/wine", 10)] == ["wine"]
    other.close()


def test_a_file_that_is_not_text_is_named_and_the_next_one_is_read(repository: Repository, remote: GitRemote) -> None:
    remote.push_bytes("stacks/dev/wine/champion.yaml", b"\xff\xfe")
    remote.push_file("stacks/dev/other/champion.yaml/file", "a folder")
    remote.push_file("stacks/dev/third/champion.yaml", "text")
    tree = repository.refresh()
    with pytest.raises(RepositoryError, match=r"stacks/dev/wine/champion\.yaml in the repository is not UTF-8 text"):
        tree.read("stacks/dev/wine/champion.yaml")
    with pytest.raises(RepositoryError, match="is a tree, not a blob"):
        tree.read("stacks/dev/other/champion.yaml")
    with pytest.raises(RepositoryError, match="a path must be one line"):
        tree.read("stacks/dev/x\nHEAD:stacks/dev/third/champion.yaml")
    assert tree.read("stacks/dev/third/champion.yaml") == "text"
