"""The GitOps repository of a rehearsal: a real bare one on this machine, which begins with platform/gitops."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

import yaml

from rehearsal.console import UserError
from rehearsal.scenarios.kubelet_stub import ANNOTATION
from rehearsal.toolchain import ROOT

_GITOPS = ROOT / "platform" / "gitops"
_AUTHOR = ("-c", "user.name=Groundwork rehearsal", "-c", "user.email=rehearsal@groundwork.invalid")


@dataclass(frozen=True)
class GitOpsRepository:
    """A bare repository, read by its branch `main`."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, environment: str) -> GitOpsRepository:
        """Two commits: platform/gitops as it is, and what lets its pods' processes run for real here."""
        made = cls(folder)
        _git("init", "--quiet", "--bare", "--initial-branch=main", str(folder))
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / "copy"
            _git("clone", "--quiet", str(folder), str(copy))
            copytree(_GITOPS, copy, dirs_exist_ok=True)
            _commit(copy, "Begin with the platform's base and overlays")
            _let_processes_run(copy / "overlays" / environment / "kustomization.yaml")
            _commit(copy, "Rehearse: run the processes of the models' pods for real")
        return made

    def head(self) -> str:
        return _git("-C", str(self.folder), "rev-parse", "main").strip()

    def log(self) -> str:
        """A line for each commit, the oldest first."""
        return _git("-C", str(self.folder), "log", "--reverse", "--format=%h %an: %s", "main").rstrip()

    def newest(self) -> str:
        """The newest commit's whole message."""
        return _git("-C", str(self.folder), "log", "-1", "--format=%B", "main").strip()


def _let_processes_run(overlay: Path) -> None:
    """The one thing that is not as in production: pods say that kwok is to leave them alone."""
    content = yaml.safe_load(overlay.read_text())
    patch = [
        {"op": "add", "path": "/spec/predictor/annotations/" + ANNOTATION.replace("/", "~1"), "value": "real"},
    ]
    content.setdefault("patches", []).append(
        {"target": {"kind": "InferenceService"}, "patch": yaml.safe_dump(patch, sort_keys=False)}
    )
    overlay.write_text(yaml.safe_dump(content, sort_keys=False))


def _commit(copy: Path, subject: str) -> None:
    _git("-C", str(copy), "add", "--all")
    _git("-C", str(copy), *_AUTHOR, "commit", "--quiet", f"--message={subject}")
    _git("-C", str(copy), "push", "--quiet", "origin", "HEAD:main")


def _git(*arguments: str) -> str:
    reply = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if reply.returncode != 0:
        raise UserError(f"`git {' '.join(arguments[-3:])}` failed: {reply.stderr.strip()}")
    return reply.stdout
