"""The GitOps repository of a scenario: a bare repository on this machine that starts as a copy of platform/gitops."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

import yaml

from rehearsal import project
from rehearsal.console import UserError
from rehearsal.scenarios.kubelet_stub import PROCESS_ANNOTATION

_AUTHOR = ("-c", "user.name=Groundwork rehearsal", "-c", "user.email=rehearsal@groundwork.invalid")


@dataclass(frozen=True)
class GitOpsRepository:
    """A bare repository; only its branch `main` is read."""

    folder: Path

    @classmethod
    def create(cls, folder: Path, stack: str) -> GitOpsRepository:
        """A repository with two commits: platform/gitops, and the annotation that makes pods' processes run."""
        _git("init", "--quiet", "--bare", "--initial-branch=main", str(folder))
        with tempfile.TemporaryDirectory() as scratch:
            clone = Path(scratch) / "clone"
            _git("clone", "--quiet", str(folder), str(clone))
            copytree(project.current().require("gitops"), clone, dirs_exist_ok=True)
            _commit_and_push(clone, "Begin with the platform's base, overlays and stacks")
            _annotate_pods(clone / "stacks" / stack / "kustomization.yaml")
            _commit_and_push(clone, "Rehearse: run the processes of the models' pods for real")
        return cls(folder)

    def head_commit(self) -> str:
        return _git("-C", str(self.folder), "rev-parse", "main").strip()

    def log(self) -> str:
        """A line for each commit, the oldest first."""
        return _git("-C", str(self.folder), "log", "--reverse", "--format=%h %an: %s", "main").rstrip()

    def head_message(self) -> str:
        """The whole message of the latest commit."""
        return _git("-C", str(self.folder), "log", "-1", "--format=%B", "main").strip()


def _annotate_pods(file: Path) -> None:
    """Make kwok leave the models' pods to the kubelet stub: the only difference to production."""
    kustomization = yaml.safe_load(file.read_text())
    path = "/spec/predictor/annotations/" + PROCESS_ANNOTATION.replace("/", "~1")
    patch = [{"op": "add", "path": path, "value": "real"}]
    kustomization.setdefault("patches", []).append(
        {"target": {"kind": "InferenceService"}, "patch": yaml.safe_dump(patch, sort_keys=False)}
    )
    file.write_text(yaml.safe_dump(kustomization, sort_keys=False))


def _commit_and_push(clone: Path, subject: str) -> None:
    _git("-C", str(clone), "add", "--all")
    _git("-C", str(clone), *_AUTHOR, "commit", "--quiet", f"--message={subject}")
    _git("-C", str(clone), "push", "--quiet", "origin", "HEAD:main")


def _git(*arguments: str) -> str:
    process = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if process.returncode != 0:
        raise UserError(f"`git {' '.join(arguments[-3:])}` failed: {process.stderr.strip()}")
    return process.stdout
