"""Changes become commits in a real bare repository, each once, through the real git.

Proves that rejected pushes are tried again on top of what came in between and that nothing is ever forced; that the
history tells which events were answered; what is said when the remote cannot be used. The remote is a folder on the
same machine: what a network does to git is not proven.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.gitops.repository import Change, Edits, Repository, RepositoryError, Tree
from lifecycle.gitops.settings import GitopsSettings
from promotion_parts import Remote


@pytest.fixture
def repository(gitops: GitopsSettings) -> Iterator[Repository]:
    opened = Repository(gitops)
    yield opened
    opened.close()


def writing(event: str, path: str = "dev/a.yaml", text: str | None = "one") -> Change:
    return Change(event, f"Write {path} for {event}", lambda _: {path: text})


def counting(event: str) -> Change:
    """A change that depends on what is there: it adds a line."""

    def edit(tree: Tree) -> Edits:
        return {"dev/count": (tree.read("dev/count") or "") + f"{event}\n"}

    return Change(event, f"Count {event}", edit)


def hook(remote: Remote, name: str, script: str) -> None:
    path = remote.path / "hooks" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_many_changes_share_a_push_and_each_has_its_commit(repository: Repository, remote: Remote) -> None:
    commits = repository.commit([counting(f"e{number}") for number in range(20)])
    assert remote.events() == [f"e{number}" for number in range(20)]
    assert list(commits.values()) == remote.git("log", "--reverse", "--format=%H", "-20", "main").splitlines()
    assert remote.git("show", "main:dev/count").splitlines() == remote.events()


def test_an_event_of_the_history_is_not_committed_again(
    repository: Repository, remote: Remote, gitops: GitopsSettings
) -> None:
    (first,) = repository.commit([counting("e1")]).values()
    assert repository.commit([counting("e1")]) == {"e1": first}
    later = Repository(gitops)
    assert later.commit([counting("e1"), counting("e1")]) == {"e1": first}
    later.close()
    assert remote.events() == ["e1"]


def test_a_change_that_changes_nothing_makes_no_commit(repository: Repository, remote: Remote) -> None:
    repository.commit([writing("e1")])
    assert repository.commit([writing("e2"), writing("e3", "dev/gone.yaml", None)]) == {"e2": None, "e3": None}
    assert remote.events() == ["e1"]


def test_a_file_can_be_removed(repository: Repository, remote: Remote) -> None:
    repository.commit([writing("e1"), writing("e2", text=None)])
    assert remote.files() == ["dev/kustomization.yaml"]


def overtaken(remote: Remote, event: str, path: str) -> Change:
    """A change that somebody else overtakes, once: after the fetch and before the push."""
    counted, others = counting(event), ["somebody"]

    def edit(tree: Tree) -> Edits:
        while others:
            remote.somebody_pushes(path, f"{others.pop()}\n")
        return counted.edit(tree)

    return Change(event, counted.subject, edit)


def test_a_rejected_push_is_made_again_on_top_of_what_came_in_between(repository: Repository, remote: Remote) -> None:
    repository.commit([overtaken(remote, "e1", "dev/count"), counting("e2")])
    assert remote.git("show", "main:dev/count") == "somebody\ne1\ne2"
    assert remote.subjects()[1:] == ["Somebody writes dev/count", "Count e1", "Count e2"]


def test_that_nothing_has_to_change_is_only_said_of_the_remote_as_it_is(repository: Repository, remote: Remote) -> None:
    repository.commit([writing("e1")])
    remote.somebody_pushes("dev/a.yaml", "another")
    assert repository.commit([writing("e2")])["e2"] is not None
    assert remote.git("show", "main:dev/a.yaml") == "one"


def test_rivals_lose_nothing(gitops: GitopsSettings, remote: Remote) -> None:
    """Four writers at once, every event given to two of them."""

    def write(number: int) -> None:
        rival = Repository(gitops.model_copy(update={"pushes": 50}))
        for step in range(5):
            rival.commit([counting(f"e{number // 2}-{step}")])
        rival.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = sorted(f"e{number}-{step}" for number in range(2) for step in range(5))
    assert sorted(remote.events()) == expected
    assert sorted(remote.git("show", "main:dev/count").splitlines()) == expected


def test_a_remote_that_refuses_is_asked_only_so_often_and_its_words_are_given(
    gitops: GitopsSettings, remote: Remote
) -> None:
    hook(remote, "pre-receive", f"echo asked >> {remote.path}/asked\necho 'main is protected' >&2\nexit 1")
    repository = Repository(gitops.model_copy(update={"pushes": 3}))
    with pytest.raises(RepositoryError, match=r"rejected 3 pushes to main: .*pre-receive hook declined"):
        repository.commit([counting("e1")])
    repository.close()
    assert (remote.path / "asked").read_text().count("asked") == 3
    assert remote.events() == []


def test_a_push_is_never_forced_not_even_when_the_remote_would_let_it(repository: Repository, remote: Remote) -> None:
    remote.git("config", "receive.denyNonFastForwards", "false")
    hook(remote, "update", f'git merge-base --is-ancestor "$2" "$3" || echo forced >> {remote.path}/forced')
    for number in range(3):
        repository.commit([overtaken(remote, f"e{number}", f"dev/{number}")])
    assert remote.events() == ["e0", "e1", "e2"]
    assert not (remote.path / "forced").exists()


def test_a_push_whose_answer_was_lost_is_found_in_the_history(repository: Repository, remote: Remote) -> None:
    push = repository._push

    def deaf(*target: str) -> str:
        repository._push = push  # type: ignore[method-assign]
        push(*target)
        return "the connection broke"

    repository._push = deaf  # type: ignore[method-assign]
    (commit,) = repository.commit([counting("e1")]).values()
    assert commit == remote.git("rev-parse", "main")
    assert remote.events() == ["e1"]


def test_a_rewritten_remote_is_read_anew(repository: Repository, remote: Remote) -> None:
    repository.commit([counting("e1"), counting("e2")])
    remote.git("update-ref", "refs/heads/main", "main~1")
    repository.refresh()
    assert repository.commit([counting("e2")])["e2"] is not None
    assert remote.events() == ["e1", "e2"]


def test_what_people_took_out_of_the_branch_is_not_pushed_again(repository: Repository, remote: Remote) -> None:
    """Nobody told the repository; its next push, on what it had seen, would bring e2 back."""
    repository.commit([counting("e1"), counting("e2")])
    remote.git("update-ref", "refs/heads/main", "main~1")
    repository.commit([counting("e3")])
    assert remote.events() == ["e1", "e3"]


def test_edits_that_were_never_pushed_are_not_taken_for_the_remotes(repository: Repository, remote: Remote) -> None:
    hook(remote, "pre-receive", "exit 1")
    repository._settings = repository._settings.model_copy(update={"pushes": 1})
    with pytest.raises(RepositoryError, match="rejected 1 pushes"):
        repository.commit([writing("e1")])
    (remote.path / "hooks" / "pre-receive").unlink()
    assert repository.commit([writing("e1")])["e1"] is not None
    assert remote.events() == ["e1"]


def test_a_clone_that_grows_is_tidied_now_and_then(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifecycle.gitops.repository._TIDY", 3)
    run, commands = repository._git.run, []

    def counted(*arguments: str, given: bytes = b"") -> str:
        commands.append(arguments[0])
        return run(*arguments, given=given)

    monkeypatch.setattr(repository._git, "run", counted)
    for number in range(4):
        repository.commit([counting(f"e{number}")])
    assert commands.count("gc") == 1
    assert "fetch" not in commands, "a push that is taken says that nothing came in between"


def test_a_missing_branch_and_a_missing_repository_are_said(gitops: GitopsSettings, tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="production"):
        Repository(gitops.model_copy(update={"branch": "production"}))
    with pytest.raises(RepositoryError, match="does not appear to be a git repository"):
        Repository(gitops.model_copy(update={"repository": str(tmp_path / "nowhere")}))


def test_a_remote_that_hangs_is_given_up(gitops: GitopsSettings, remote: Remote) -> None:
    hook(remote, "pre-receive", "exec sleep 3")
    repository = Repository(gitops)
    repository._git._patience = 0.5
    with pytest.raises(RepositoryError, match=r"git push did not end within 0\.5 s"):
        repository.commit([counting("e1")])
    repository.close()


def test_the_token_is_in_no_command_line_and_only_for_its_repository(gitops: GitopsSettings) -> None:
    from lifecycle.gitops.git import Git

    private = gitops.model_validate(
        {**gitops.model_dump(), "repository": "https://forge.example/o/r.git", "token": "a-token"}
    )
    git = Git(Path("clone"), private)
    assert git._environment["GIT_CONFIG_KEY_0"] == "http.https://forge.example/o/r.git.extraHeader"
    assert "a-token" not in " ".join(git._command(["push", private.repository])) + repr(private)
