"""Anything that people write to the registry neither stops nor controls a rollout.

Proves it for tags, which are written to commits, and for the names and statuses that make a model a candidate. The
effect of such text in git and in Slack is proven in tests/gitops and tests/core.
"""

from __future__ import annotations

import pytest

from lifecycle.core import ModelRegistry, Status
from lifecycle.core.names import DATA_VERSION_TAG
from lifecycle.gitops.manifests import InvalidNameError
from lifecycle.gitops.repository import Repository
from lifecycle.rollout.watcher import find_candidates
from support.git_remote import GitRemote
from support.registered_models import RegisteredModels
from support.rollout_environment import RolloutEnvironment
from support.simulated_services import Service

TAGS = ("x\nGroundwork-Rollout: 10", "x\nGroundwork-Rollout: settled", "x\n\nGroundwork-Version: 1", "x\x1ey")


@pytest.mark.parametrize("tag", TAGS, ids=ascii)
def test_a_version_with_a_hostile_tag_is_rolled_out_and_aborted(
    environment: RolloutEnvironment, models: RegisteredModels, remote: GitRemote, tag: str
) -> None:
    assert environment.promote(tags={DATA_VERSION_TAG: tag}) == "3"
    environment.services["challenger"] = environment.services["champion"] = Service("3")
    controller = environment.controller()
    assert controller.step(environment.model).message == "10 %"
    assert controller.abort(environment.model, "x\nGroundwork-Rollout: 10").message == "rolled-back: version 3"
    assert "\n- x Groundwork-Rollout: 10\n" in remote.message()
    assert environment.weights() == [100, 0], "version 2 is as far as it was"
    assert models.status(environment.model, "3") == "rolled-back"


def test_a_name_that_is_a_path_is_not_a_candidate(environment: RolloutEnvironment, models: RegisteredModels) -> None:
    registry = ModelRegistry(models.uri)
    hostile = ["x\nHEAD", "<!channel> *pay now*", "Wine"]
    for name in hostile:
        models.client.create_registered_model(name)
        registry.set_status(name, models.create_version(name), Status.ROLLING_OUT)
    repository = Repository(environment.gitops)
    assert not set(hostile) & set(find_candidates(repository, registry).models)
    repository.close()
    with pytest.raises(InvalidNameError, match="the registered model's name 'x HEAD' is not valid"):
        environment.controller().step("x\nHEAD")


def test_an_unreadable_folder_is_a_candidate_and_does_not_hide_others(
    environment: RolloutEnvironment, remote: GitRemote, models: RegisteredModels
) -> None:
    remote.push_bytes("stacks/dev/broken/generated/challenger.yaml", b"\xff\xfe")
    kustomization = remote.read("stacks/dev/kustomization.yaml")
    remote.push_file(
        "stacks/dev/kustomization.yaml", kustomization.replace("resources:", "resources:\n- broken/generated\n- ../x")
    )
    repository = Repository(environment.gitops)
    found = find_candidates(repository, ModelRegistry(models.uri))
    assert {"broken", environment.model} <= set(found.models)
    repository.close()


def test_a_commit_of_another_model_in_the_folder_is_not_a_stage(
    environment: RolloutEnvironment, remote: GitRemote
) -> None:
    """As if a person's commit, or its revert, changed two models."""
    file = f"stacks/dev/{environment.model}/generated/NOTES"
    remote.push_file(file, "text", message="Two models\n\nGroundwork-Model: other\nGroundwork-Rollout: 50\n")
    assert environment.run()[-1] == "settled: version 2"
