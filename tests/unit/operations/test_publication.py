"""The models of one stack, declared for another, in a real git repository."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.errors import DeployError
from deploy.stack import Stack, read_stack
from operations.publication import publish_models
from operations.target import STACKS, Target

pytestmark = pytest.mark.process
FOLDERS = {
    "aws-dev": {"resources": ["churn/generated"], "components": ["../../overlays/dev", "churn"], "images": ["of dev"]},
    "aws-prod": {"resources": ["old/generated"], "components": ["../../overlays/prod", "old"], "images": ["of prod"]},
}


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bare repository in place of the one of the shipped stacks."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "ada@example.com")
    bare, work = tmp_path / "bare.git", tmp_path / "work"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(bare)], check=True)
    subprocess.run(["git", "clone", "--quiet", str(bare), str(work)], check=True, capture_output=True)
    for stack, kustomization in FOLDERS.items():
        model = Path(kustomization["resources"][0])
        (work / "stacks" / stack / model).mkdir(parents=True)
        (work / "stacks" / stack / model / "champion.yaml").write_text(f"version of {stack}")
        (work / "stacks" / stack / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message=Begin")
    git(work, "push", "--quiet", "origin", "HEAD:main")
    return bare


def find_target(name: str, bare: Path) -> Target:
    stack: Stack = read_stack(name, STACKS)
    assert stack.settings
    settings = stack.settings.model_copy(
        update={"gitops": stack.settings.gitops.model_copy(update={"repository": str(bare)})}
    )
    return Target(dataclasses.replace(stack, settings=settings), dict(os.environ), is_rehearsed=True)


def test_models_are_moved_and_images_are_not(repository: Path) -> None:
    source, destination = find_target("aws-dev", repository), find_target("aws-prod", repository)
    assert publish_models(source, destination) == "declared for aws-prod: churn"
    declared = yaml.safe_load(git(repository, "show", "main:stacks/aws-prod/kustomization.yaml"))
    assert declared == {
        "resources": ["churn/generated"],
        "components": ["../../overlays/prod", "churn"],
        "images": ["of prod"],
    }
    assert git(repository, "show", "main:stacks/aws-prod/churn/generated/champion.yaml") == "version of aws-dev"
    assert "old" not in git(repository, "ls-tree", "-r", "--name-only", "main", "stacks/aws-prod")
    assert "already" in publish_models(source, destination)


def test_a_stack_without_a_folder_is_named(repository: Path) -> None:
    with pytest.raises(DeployError, match=r"has no stacks/aws-staging/kustomization\.yaml"):
        publish_models(find_target("aws-dev", repository), find_target("aws-staging", repository))
