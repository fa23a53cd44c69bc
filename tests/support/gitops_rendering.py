"""Renders the GitOps folder of a new stack, with a model that the promotion's own code wrote. Proves nothing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.gitops import EXPERIMENT_FILES, format_kustomization
from rehearsal.scenarios.processes import package, python
from rehearsal.toolchain import ROOT
from tests.support.recording import stack_context

GITOPS = ROOT / "platform" / "gitops"
STACK = "research.2"

Manifests = list[dict[str, Any]]

# Runs the promotion's own code in the environment in which it is installed.
_WRITE = """
import sys
from pathlib import Path
from lifecycle.core import Lineage, ModelVersion
from lifecycle.gitops.model_folder import ModelFolder, edit_folder
from lifecycle.gitops.settings import GitopsSettings

class Files:
    def read(self, path):
        file = Path(path)
        return file.read_text() if file.exists() else None

settings = GitopsSettings(repository=".", stack=sys.argv[1])
versions = {role: ModelVersion("wine", number, Lineage("run", "data", "commit")) for role, number in
            (("champion", "1"), ("challenger", "2"))}
folder = ModelFolder("wine", versions, {"champion": 90, "challenger": 10})
for path, text in edit_folder(Files(), settings, folder).items():
    if text is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
"""


def render(environment: str, folder: Path) -> Manifests:
    """The manifests that Argo CD would apply in this environment; skips the test if they cannot be rendered."""
    if not python().exists():
        pytest.skip("platform/lifecycle has no virtual environment: `make test-lifecycle` creates it")
    work = folder / "gitops"
    shutil.copytree(GITOPS, work)
    write_stack(work, environment)
    command = [str(python()), "-c", _WRITE, STACK]
    subprocess.run(command, cwd=work, env={"PYTHONPATH": str(package() / "src")}, check=True)
    return list(yaml.safe_load_all(kustomize(work / "stacks" / STACK)))


def write_stack(gitops: Path, environment: str) -> Path:
    """Add a stack of this environment to a copy of the GitOps folder, as `make new-stack` does; returns its folder."""
    folder = gitops / "stacks" / STACK
    folder.mkdir()
    settings = stack_context("azure", environment, STACK).settings
    (folder / "kustomization.yaml").write_text(format_kustomization(settings, STACK))
    (folder / "experiments").mkdir()
    for name, text in EXPERIMENT_FILES.items():
        (folder / "experiments" / name).write_text(text)
    return folder


def kustomize(folder: Path) -> str:
    """Render a folder with kustomize; skips the test if kubectl, which contains it, is not on PATH."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl, which renders, is not on PATH")
    command = ["kubectl", "kustomize", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def build_deployment(inference_service: Mapping[str, Any]) -> dict[str, Any]:
    """The Deployment of a predictor, as KServe v0.20.0's deployment_reconciler creates it."""
    predictor = dict(inference_service["spec"]["predictor"])
    extension = ("minReplicas", "maxReplicas", "autoScaling", "deploymentStrategy", "labels", "annotations")
    own = {key: predictor.pop(key) for key in extension}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{inference_service['metadata']['name']}-predictor", "namespace": "serving"},
        "spec": {
            "strategy": own["deploymentStrategy"],
            "template": {"metadata": {"labels": own["labels"]}, "spec": predictor},
        },
    }
