"""Changes become commits in a real bare repository, each once, through the real git.

Proves that rejected pushes are retried on top of what was pushed before and never forced; that events in the history
are not committed again; the messages when the remote cannot be used. The remote is a folder on the same machine:
failures of a network are not proven.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.gitops.git import RepositoryError
from lifecycle.gitops.model_folder import Edits
from lifecycle.gitops.repository import Change, Repository, Tree
from lifecycle.gitops.settings import GitopsSettings
from support.git_remote import GitRemote


@pytest.fixture
def repository(gitops: GitopsSettings) -> Iterator[Repository]:
    opened = Repository(gitops)
    yield opened
    opened.close()


def writing(event: str, path: str = "stacks/dev/a.yaml", text: str | None = "one") -> Change:
    return Change(event, f"Write {path} for {event}", lambda _: {path: text})


def counting(event: str) -> Change:
    """A change that depends on the current content: it adds a line."""

    def edit(tree: Tree) -> Edits:
        return {"stacks/dev/count": (tree.read("stacks/dev/count") or "") + f"{event}\n"}

    return Change(event, f"Count {event}", edit)


def test_many_changes_share_a_push_and_each_has_a_commit(repository: Repository, remote: GitRemote) -> None:
    commits = repository.commit([counting(f"e{number}") for number in range(20)])
    assert remote.events() == [f"e{number}" for number in range(20)]
    assert list(commits.values()) == remote.git("log", "--reverse", "--format=%H", "-20", "main").splitlines()
    assert remote.read("stacks/dev/count").splitlines() == remote.events()


def test_an_event_in_the_history_is_not_committed_again(
    repository: Repository, remote: GitRemote, gitops: GitopsSettings
) -> None:
    (first,) = repository.commit([counting("e1")]).values()
    assert repository.commit([counting("e1")]) == {"e1": first}
    later = Repository(gitops)
    assert later.commit([counting("e1"), counting("e1")]) == {"e1": first}
    later.close()
    assert remote.events() == ["e1"]


def test_a_change_without_an_effect_creates_no_commit(repository: Repository, remote: GitRemote) -> None:
    repository.commit([writing("e1")])
    assert repository.commit([writing("e2"), writing("e3", "stacks/dev/gone.yaml", None)]) == {"e2": None, "e3": None}
    assert remote.events() == ["e1"]


def test_a_file_can_be_removed(repository: Repository, remote: GitRemote) -> None:
    repository.commit([writing("e1"), writing("e2", text=None)])
    assert remote.files() == ["stacks/dev/kustomization.yaml"]


def overtaken(remote: GitRemote, event: str, path: str) -> Change:
    """A change that another push overtakes, once: after the fetch and before the push."""
    counted, others = counting(event), ["another"]

    def edit(tree: Tree) -> Edits:
        while others:
            remote.push_file(path, f"{others.pop()}\n")
        return counted.edit(tree)

    return Change(event, counted.subject, edit)


def test_a_rejected_push_is_retried_on_top_of_the_other_one(repository: Repository, remote: GitRemote) -> None:
    repository.commit([overtaken(remote, "e1", "stacks/dev/count"), counting("e2")])
    assert remote.read("stacks/dev/count") == "another\ne1\ne2"
    assert remote.subjects()[1:] == ["Another person writes stacks/dev/count", "Count e1", "Count e2"]


def test_the_remotes_current_state_decides_whether_a_change_is_needed(
    repository: Repository, remote: GitRemote
) -> None:
    repository.commit([writing("e1")])
    remote.push_file("stacks/dev/a.yaml", "another")
    assert repository.commit([writing("e2")])["e2"] is not None
    assert remote.read("stacks/dev/a.yaml") == "one"


def test_concurrent_writers_lose_nothing(gitops: GitopsSettings, remote: GitRemote) -> None:
    """Four writers at once, with every event in two of them."""

    def write(number: int) -> None:
        writer = Repository(gitops.model_copy(update={"push_attempts": 50}))
        for step in range(5):
            writer.commit([counting(f"e{number // 2}-{step}")])
        writer.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = sorted(f"e{number}-{step}" for number in range(2) for step in range(5))
    assert sorted(remote.events()) == expected
    assert sorted(remote.read("stacks/dev/count").splitlines()) == expected


def test_a_remote_that_rejects_pushes_is_tried_a_limited_number_of_times_and_its_message_is_reported(
    gitops: GitopsSettings, remote: GitRemote
) -> None:
    remote.install_hook("pre-receive", f"echo push >> {remote.path}/pushes\necho 'main is protected' >&2\nexit 1")
    repository = Repository(gitops.model_copy(update={"push_attempts": 3}))
    with pytest.raises(RepositoryError, match=r"rejected 3 pushes to main: .*pre-receive hook declined"):
        repository.commit([counting("e1")])
    repository.close()
    assert (remote.path / "pushes").read_text().count("push") == 3
    assert remote.events() == []


def test_a_push_is_never_forced_even_if_the_remote_would_accept_it(repository: Repository, remote: GitRemote) -> None:
    remote.git("config", "receive.denyNonFastForwards", "false")
    remote.install_hook("update", f'git merge-base --is-ancestor "$2" "$3" || echo forced >> {remote.path}/forced')
    for number in range(3):
        repository.commit([overtaken(remote, f"e{number}", f"stacks/dev/{number}")])
    assert remote.events() == ["e0", "e1", "e2"]
    assert not (remote.path / "forced").exists()


def test_a_push_whose_response_was_lost_is_found_in_the_history(repository: Repository, remote: GitRemote) -> None:
    push = repository._push

    def lose_response(*target: str) -> str:
        repository._push = push  # type: ignore[method-assign]
        push(*target)
        return "the connection broke"

    repository._push = lose_response  # type: ignore[method-assign]
    (commit,) = repository.commit([counting("e1")]).values()
    assert commit == remote.git("rev-parse", "main")
    assert remote.events() == ["e1"]


def test_a_rewritten_remote_is_indexed_again(repository: Repository, remote: GitRemote) -> None:
    repository.commit([counting("e1"), counting("e2")])
    remote.git("update-ref", "refs/heads/main", "main~1")
    repository.refresh()
    assert repository.commit([counting("e2")])["e2"] is not None
    assert remote.events() == ["e1", "e2"]


def test_a_commit_that_was_removed_from_the_branch_is_not_pushed_again(
    repository: Repository, remote: GitRemote
) -> None:
    """The repository has not fetched since; its next push, on top of its last head, would bring e2 back."""
    repository.commit([counting("e1"), counting("e2")])
    remote.git("update-ref", "refs/heads/main", "main~1")
    repository.commit([counting("e3")])
    assert remote.events() == ["e1", "e3"]


def test_edits_that_were_never_pushed_do_not_count_as_the_remotes(repository: Repository, remote: GitRemote) -> None:
    remote.install_hook("pre-receive", "exit 1")
    repository._settings = repository._settings.model_copy(update={"push_attempts": 1})
    with pytest.raises(RepositoryError, match="rejected 1 pushes"):
        repository.commit([writing("e1")])
    (remote.path / "hooks" / "pre-receive").unlink()
    assert repository.commit([writing("e1")])["e1"] is not None
    assert remote.events() == ["e1"]


def test_a_growing_clone_is_packed_at_intervals(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifecycle.gitops.repository._GC_INTERVAL", 3)
    run, commands = repository._git.run, []

    def counted(*arguments: str, stdin: bytes = b"") -> str:
        commands.append(arguments[0])
        return run(*arguments, stdin=stdin)

    monkeypatch.setattr(repository._git, "run", counted)
    for number in range(4):
        repository.commit([counting(f"e{number}")])
    assert commands.count("gc") == 1
    assert "fetch" not in commands, "an accepted push shows that the remote has not moved"


def test_a_missing_branch_and_a_missing_repository_are_reported(gitops: GitopsSettings, tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="production"):
        Repository(gitops.model_copy(update={"branch": "production"}))
    with pytest.raises(RepositoryError, match="does not appear to be a git repository"):
        Repository(gitops.model_copy(update={"repository": str(tmp_path / "nowhere")}))


def test_a_push_to_a_remote_that_hangs_times_out(gitops: GitopsSettings, remote: GitRemote) -> None:
    remote.install_hook("pre-receive", "exec sleep 30")
    repository = Repository(gitops)
    repository._git._timeout = 0.5
    with pytest.raises(RepositoryError, match=r"git push did not finish within 0\.5 s"):
        repository.commit([counting("e1")])
    repository.close()


def test_the_token_is_not_in_command_lines_and_only_for_its_repository(gitops: GitopsSettings) -> None:
    from lifecycle.gitops.git import Git

    private = gitops.model_validate(
        {**gitops.model_dump(), "repository": "https://forge.example/o/r.git", "token": "a-token"}
    )
    git = Git(Path("clone"), private)
    assert git._environment["GIT_CONFIG_KEY_0"] == "http.https://forge.example/o/r.git.extraHeader"
    assert "a-token" not in " ".join(git._command(["push", private.repository])) + repr(private)
