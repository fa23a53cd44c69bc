"""The GitOps repository of a rehearsal, and a scenario's changes to it.

Proves only the files and commits; rehearsals in tests/cluster and tests/engine prove that Argo CD syncs them.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from rehearsal import project
from rehearsal.console import UserError
from rehearsal.gitops_repository import GitOpsRepository
from rehearsal.scenarios import model_lifecycle, pod_processes
from rehearsal.scenarios.kubelet_stub import PROCESS_LABEL

pytestmark = pytest.mark.process


def git(repository: GitOpsRepository, *arguments: str) -> str:
    command = ["git", "-C", str(repository.folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_only_the_pods_of_the_stack_run_processes(tmp_path: Path) -> None:
    repository = GitOpsRepository.create(tmp_path / "models.git", project.current().require("gitops"))
    pod_processes.commit_label(repository, "aws-staging")
    changed = git(repository, "diff", "--name-only", "main~1", "main").split()
    assert changed == ["stacks/aws-staging/kustomization.yaml"]
    kustomization = yaml.safe_load(git(repository, "show", f"main:{changed[0]}"))
    assert PROCESS_LABEL.replace("/", "~1") in kustomization["patches"][0]["patch"]


def test_a_repository_follows_the_projects_folder(tmp_path: Path) -> None:
    source = tmp_path / "gitops"
    (source / "stacks").mkdir(parents=True)
    (source / "old.yaml").write_text("old")
    repository = GitOpsRepository.create(tmp_path / "models.git", source)
    first = repository.head_commit()
    assert GitOpsRepository.create(tmp_path / "models.git", source).head_commit() == first
    (source / "old.yaml").rename(source / "stacks" / "new.yaml")
    assert GitOpsRepository.create(tmp_path / "models.git", source).head_commit() != first
    assert git(repository, "ls-tree", "-r", "--name-only", "main").split() == ["stacks/new.yaml"]


def test_a_stack_without_a_folder_is_an_error_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_lifecycle, "python", lambda: Path(__file__))
    with pytest.raises(UserError, match=r"platform/gitops/stacks/azure-new/kustomization.yaml does not exist"):
        model_lifecycle._check_prerequisites("azure-new")
