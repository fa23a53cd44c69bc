"""A clone of the project for steps that commit and push, with a remote on this machine. Proves nothing by itself."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from rehearsal.toolchain import ROOT
from tests.support.workflow_cases import DIGEST

# The files that `delivery` and the scripts of steps read.
_FOLDERS = ("delivery", "deploy", "infra", "kernel", "policies", "scripts")
_IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@localhost")


def clone_project(folder: Path) -> Path:
    """A clone with the current files, committed or not; its branches can be pushed to its remote."""
    remote, work = folder / "remote.git", folder / "work"
    _git("init", "--quiet", "--bare", str(remote))
    _git("clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(work))
    _git("-C", str(work), "sparse-checkout", "set", *_FOLDERS, "stacks")
    _git("-C", str(work), "checkout", "--quiet")
    _git("-C", str(work), "remote", "set-url", "origin", str(remote))
    for name in _FOLDERS:
        shutil.copytree(ROOT / name, work / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    _git("-C", str(work), "add", "--all")
    _git("-C", str(work), *_IDENTITY, "commit", "--quiet", "--message", "x", "--allow-empty")
    (work / ".venv").symlink_to(ROOT / ".venv")
    return work


def find_remote(work: Path) -> Path:
    return Path(_git("-C", str(work), "remote", "get-url", "origin").strip())


def read_pushed_images(remote: Path, branch: str, stack: str) -> Mapping[str, str]:
    """`images` of a stack's file on a branch of the remote."""
    text = _git("-C", str(remote), "show", "--format=", f"{branch}:stacks/Pulumi.{stack}.yaml")
    images: Mapping[str, str] = yaml.safe_load(text)["config"]["groundwork:images"]
    return images


def write_digests(find_folder: Callable[[str], Path]) -> None:
    """Write the digest of each image into a file with its name, in the folder that `find_folder` returns."""
    for image in ("drift", "experiment", "promotion", "serving", "training"):
        folder = find_folder(image)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / image).write_text(f"{image}={DIGEST}\n")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout
