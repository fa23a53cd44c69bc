"""A bare git repository as remote, read and written by git itself."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_AUTHOR = ("-c", "user.name=Test", "-c", "user.email=test@localhost")


@dataclass(frozen=True)
class GitRemote:
    """A bare repository."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> GitRemote:
        """A repository with an empty folder of the stack `dev` on its branch `main`."""
        shutil.copytree(Path(_create_template().name, "remote.git"), path)
        return cls(path)

    def git(self, *arguments: str) -> str:
        process = subprocess.run(["git", "-C", str(self.path), *arguments], capture_output=True, text=True, check=True)
        return process.stdout.strip()

    def events(self, branch: str = "main") -> list[str]:
        """The events in the history, oldest first, one per commit that has one."""
        text = self.git("log", "--reverse", "--format=%(trailers:key=Groundwork-Event,valueonly)", branch)
        return [line for line in text.splitlines() if line]

    def subjects(self) -> list[str]:
        return self.git("log", "--reverse", "--format=%s", "main").splitlines()

    def message(self) -> str:
        """The newest commit's message."""
        return self.git("log", "-1", "--format=%B", "main")

    def read(self, path: str) -> str:
        return self.git("show", f"main:{path}")

    def manifests(self, path: str) -> list[dict[str, Any]]:
        return list(yaml.safe_load_all(self.read(path)))

    def files(self) -> list[str]:
        return self.git("ls-tree", "-r", "--name-only", "main").splitlines()

    def push_file(self, path: str, text: str, message: str = "") -> None:
        """Commit and push a file, as another person would."""
        self.push_bytes(path, text.encode(), message)

    def push_bytes(self, path: str, content: bytes, message: str = "") -> None:
        work = self.path.with_name(f"clone-{uuid.uuid4()}")
        subprocess.run(["git", "clone", "--quiet", str(self.path), str(work)], check=True, capture_output=True)
        file = work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        for arguments in (
            ["add", "."],
            [*_AUTHOR, "commit", "--quiet", "-m", message or f"Another person writes {path}"],
            ["push", "-q"],
        ):
            subprocess.run(["git", "-C", str(work), *arguments], check=True, capture_output=True)

    def set_time(self, branch: str, seconds: int) -> None:
        """Replace the branch's commit by one with another time, in seconds since 1970."""
        text = self.git("cat-file", "commit", branch)
        dated = re.sub(r"^(committer .*>) \d+", rf"\1 {seconds}", text, count=1, flags=re.MULTILINE)
        command = ["git", "-C", str(self.path), "hash-object", "-t", "commit", "-w", "--stdin"]
        process = subprocess.run(command, input=f"{dated}\n", capture_output=True, text=True, check=True)
        self.git("update-ref", f"refs/heads/{branch}", process.stdout.strip())

    def install_hook(self, name: str, script: str) -> None:
        path = self.path / "hooks" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


@cache
def _create_template() -> tempfile.TemporaryDirectory[str]:
    """A folder with the repository from which others are copied; deleted when the process ends."""
    folder = tempfile.TemporaryDirectory()
    work = Path(folder.name, "seed")
    (work / "stacks" / "dev").mkdir(parents=True)
    (work / "stacks" / "dev" / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: []\n"
    )
    for command in (
        ["git", "init", "--quiet", "--initial-branch=main", str(work)],
        ["git", "-C", str(work), "add", "."],
        ["git", "-C", str(work), *_AUTHOR, "commit", "--quiet", "-m", "An empty stack"],
        ["git", "clone", "--quiet", "--bare", str(work), str(work.with_name("remote.git"))],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return folder
