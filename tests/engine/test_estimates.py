"""`cost` and `duration` on a real preview: the engine's event log and plan contain what an estimate needs.

Proves that a preview of the project's own program is priced, that it has no resource of an unknown type, that its
dependencies result in a critical path, and that the difference to another version of the project is found. Does not
prove any figure: tests/unit/estimates/test_hand_computed.py does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.project import TIMEOUT, Project

pytestmark = pytest.mark.engine

STACK = "aws-dev"


def estimate(project: Project, command: str, *options: str) -> Mapping[str, Any]:
    reply = subprocess.run(
        [sys.executable, "-m", "rehearsal", command, STACK, "--format", "json", *options],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert reply.returncode == 0, reply.stderr
    document: Mapping[str, Any] = json.loads(reply.stdout)
    return document


def test_a_preview_is_priced_and_compared_with_an_earlier_version(project: Project) -> None:
    run_git(project, "init", "--quiet")
    (project.folder / ".gitignore").write_text(".groundwork/\n.venv\n")
    # A link in the tests' copies of the project to files that no estimate reads; a checkout has a folder.
    package = project.folder / "platform" / "lifecycle"
    package.unlink()
    package.mkdir()
    (package / "pyproject.toml").touch()
    run_git(project, "add", "--all")
    run_git(project, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "--message", "before")
    stack_file = project.folder / "stacks" / f"Pulumi.{STACK}.yaml"
    stack_file.write_text(f"{stack_file.read_text()}  groundwork:cost: {{monthlyBudget: 100}}\n")
    document = estimate(project, "cost", "--diff", "HEAD")
    assert document["budget"] == {"usd": 100, "isExceeded": True}
    assert document["unknown"] == []
    assert {row["name"] for row in document["rows"]} >= {"cluster", "cluster-user"}
    assert document["totalUsd"] == pytest.approx(sum(row["usd"] for row in document["rows"]), abs=0.5)
    # A budget itself costs nothing.
    assert document["difference"]["against"] == "HEAD"
    assert document["difference"]["totalUsd"] == pytest.approx(0, abs=0.5)


def test_the_critical_path_of_a_preview_runs_through_the_cluster(project: Project) -> None:
    document = estimate(project, "duration")
    assert "cluster" in {step["name"] for step in document["path"]}
    assert 15 * 60 < document["criticalPathSeconds"] <= document["makespanSeconds"] < document["serialSeconds"]
    assert document["unknown"] == []


def run_git(project: Project, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=project.folder, check=True, timeout=60)
