"""Renders Kubeflow Pipelines as Argo CD does, from sources in a folder instead of the network. Proves nothing.

The folder that GROUNDWORK_MANIFESTS names contains each repository at the commit that the kustomization refers to, as
`kubeflow/pipelines/<commit>/` and `argoproj/argo-workflows/<commit>/`. To create it, unpack GitHub's archive of the
commit, https://github.com/<owner>/<repository>/archive/<commit>.tar.gz, there without its top-level folder.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.gitops_rendering import GITOPS, Manifests, kustomize

FOLDER_VARIABLE = "GROUNDWORK_MANIFESTS"
PIPELINES = GITOPS / "pipelines"
REMOTE = re.compile(
    r"https://github\.com/(?P<repository>[\w-]+/[\w-]+)//(?P<path>[\w/-]+)\?ref=(?P<commit>[0-9a-f]{40})&timeout=\d+s"
)


# A resource of upstream that the platform's kustomization does not list: the role of Argo Workflows.
_FURTHER = (
    "https://github.com/argoproj/argo-workflows//manifests/namespace-install/workflow-controller-rbac"
    "?ref=0ab1452144d8f4d57c50b37ce50dad218868e950&timeout=120s",
)


def read_kustomization() -> Mapping[str, Any]:
    content: Mapping[str, Any] = yaml.safe_load((PIPELINES / "kustomization.yaml").read_text())
    return content


def render_upstream(folder: Path) -> Manifests:
    """The manifests without the platform's patches."""
    own = read_kustomization()
    return _render(folder, {"namespace": own["namespace"], "resources": [*own["resources"], *_FURTHER]})


def render_pipelines(folder: Path) -> Manifests:
    """The manifests that Argo CD applies."""
    return _render(folder, read_kustomization())


def _render(folder: Path, kustomization: Mapping[str, Any]) -> Manifests:
    """Render a kustomization in a folder; kustomize supports only relative paths to folders."""
    work = folder / "pipelines"
    shutil.copytree(PIPELINES, work)
    local = [os.path.relpath(_find_source(resource), work) for resource in kustomization["resources"]]
    (work / "kustomization.yaml").write_text(yaml.safe_dump({**kustomization, "resources": local}))
    return list(yaml.safe_load_all(kustomize(work)))


def _find_source(resource: str) -> Path:
    """The folder that a resource refers to; skips the test if it is not available."""
    folder, remote = os.environ.get(FOLDER_VARIABLE), REMOTE.fullmatch(resource)
    if not folder:
        pytest.skip(f"{FOLDER_VARIABLE} does not name a folder with the manifests of Kubeflow Pipelines")
    assert remote, f"{resource} is not pinned to a commit"
    source = Path(folder) / remote["repository"] / remote["commit"] / remote["path"]
    if not source.is_dir():
        pytest.skip(f"the folder that {FOLDER_VARIABLE} names has no {source.relative_to(folder)}")
    return source.resolve()
