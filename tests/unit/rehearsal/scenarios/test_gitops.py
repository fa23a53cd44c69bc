"""What a scenario gives Argo CD: the repository and the application of its stack.

Proves the files only; that Argo CD syncs them is proven by the scenario itself, in tests/engine/test_lifecycle.py.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from rehearsal.console import UserError
from rehearsal.scenarios import argocd_application, model_lifecycle
from rehearsal.scenarios.gitops_repository import GitOpsRepository
from rehearsal.scenarios.kubelet_stub import PROCESS_ANNOTATION

pytestmark = pytest.mark.process


def test_only_the_pods_of_the_stack_run_processes(tmp_path: Path) -> None:
    repository = GitOpsRepository.create(tmp_path / "models.git", "aws-staging")
    command = ["git", "-C", str(repository.folder), "diff", "--name-only", "main~1", "main"]
    changed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert changed == ["stacks/aws-staging/kustomization.yaml"]
    shown = subprocess.run(
        ["git", "-C", str(repository.folder), "show", f"main:{changed[0]}"], capture_output=True, text=True, check=True
    )
    kustomization = yaml.safe_load(shown.stdout)
    assert PROCESS_ANNOTATION.replace("/", "~1") in kustomization["patches"][0]["patch"]


def test_the_application_has_the_folder_of_the_stack() -> None:
    url, (declared, application) = argocd_application.load_manifests("aws-staging")
    assert declared["spec"]["sourceRepos"] == [url] == [application["spec"]["source"]["repoURL"]]
    assert application["spec"]["source"]["path"] == "stacks/aws-staging"


def test_a_stack_without_a_folder_is_an_error_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_lifecycle, "python", lambda: Path(__file__))
    with pytest.raises(UserError, match=r"platform/gitops/stacks/azure-new/kustomization.yaml does not exist"):
        model_lifecycle._check_prerequisites("azure-new")
