"""Promotion by pull request: a branch in a real repository, and a simulated forge with GitHub's responses.

Proves one branch and one pull request per event, even if the event is retried. The responses are taken from GitHub's
documentation: https://docs.github.com/en/rest/pulls/pulls#create-a-pull-request
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydantic import ValidationError

from lifecycle.core import Lineage, ModelVersion
from lifecycle.gitops.git import RepositoryError
from lifecycle.gitops.publication import Publication
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.publisher import Publisher
from support.forge import TOKEN, SimulatedForge
from support.git_remote import GitRemote
from support.network import UNUSED_URL


@pytest.fixture
def forge() -> Iterator[SimulatedForge]:
    with SimulatedForge().running() as running:
        yield running


@pytest.fixture
def publisher(remote: GitRemote, forge: SimulatedForge) -> Iterator[Publisher]:
    created = Publisher(forge.settings(remote))
    yield created
    created.close()


def test_a_promotion_is_one_branch_and_one_pull_request(
    publisher: Publisher, remote: GitRemote, forge: SimulatedForge
) -> None:
    (published,) = publisher.publish({"e1": ModelVersion("wine", "3", Lineage("run-1"))}).values()
    assert published == Publication(remote.git("rev-parse", "groundwork/e1"), "https://forge.example/pull/1", True)
    assert remote.events() == [], "nothing is on the branch before the merge"
    assert remote.events("groundwork/e1") == ["e1"]
    (opened,) = forge.opened.values()
    assert (opened["head"], opened["base"]) == ("groundwork/e1", "main")
    assert opened["title"] == "Promote wine version 3 to challenger"
    assert "Groundwork-Run-Id: run-1" in opened["body"]
    assert forge.authorization == {f"Bearer {TOKEN}"}


def test_a_retried_event_finds_its_pull_request(publisher: Publisher, remote: GitRemote, forge: SimulatedForge) -> None:
    first = publisher.publish({"e1": ModelVersion("wine", "3")})
    remote.push_file("stacks/dev/other", "text")
    assert publisher.publish({"e1": ModelVersion("wine", "3")}) == {"e1": replace(first["e1"], is_new=False)}
    later = Publisher(forge.settings(remote))
    assert later.publish({"e1": ModelVersion("wine", "3")}) == {"e1": replace(first["e1"], is_new=False)}
    later.close()
    assert len(forge.opened) == 1


def test_a_retried_event_that_was_merged_is_promoted(
    publisher: Publisher, remote: GitRemote, forge: SimulatedForge
) -> None:
    (first,) = publisher.publish({"e1": ModelVersion("wine", "3")}).values()
    forge.merge(remote)
    assert publisher.publish({"e1": ModelVersion("wine", "3")}) == {"e1": Publication(first.commit)}


def test_a_pull_request_shows_text_of_the_registry_as_it_is(publisher: Publisher, forge: SimulatedForge) -> None:
    publisher.publish({"e1": ModelVersion("wine", "3", Lineage(git_commit="x\n```\n@everyone ![](https://evil)"))})
    (opened,) = forge.opened.values()
    lines = opened["body"].splitlines()
    assert [line for line in lines if line.startswith("```")] == [lines[0], lines[-1]]


def test_a_branch_without_a_pull_request_gets_one(
    publisher: Publisher, remote: GitRemote, forge: SimulatedForge
) -> None:
    """The state that a worker leaves which is killed between the two."""
    forge.status = 500
    with pytest.raises(RepositoryError, match=r"status 500.*the token may write pull requests"):
        publisher.publish({"e1": ModelVersion("wine", "3")})
    forge.status = 201
    (published,) = publisher.publish({"e1": ModelVersion("wine", "3")}).values()
    assert published.pull_request == "https://forge.example/pull/1"
    assert remote.events("groundwork/e1") == ["e1"]


def test_an_unreachable_forge_is_reported_without_its_token(publisher: Publisher) -> None:
    settings = publisher._settings.model_copy(update={"forge_url": UNUSED_URL})
    unreachable = Publisher(settings)
    with pytest.raises(RepositoryError, match="does not answer") as error:
        unreachable.publish({"e1": ModelVersion("wine", "3")})
    assert TOKEN not in str(error.value) + repr(settings)


def test_a_pull_request_needs_a_project_and_a_token(remote: GitRemote) -> None:
    with pytest.raises(ValidationError, match="needs GITOPS_TOKEN and GITOPS_PROJECT"):
        GitopsSettings(stack="dev", repository=str(remote.path), mode="pull-request")
