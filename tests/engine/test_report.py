"""A report on a small separate project, between two commits, by the real engine.

Proves that the stack at the base determines what is added, changed, replaced and deleted, that a replacement that loses
data is named, that a new stack and a base that cannot be brought up are reported, and that neither the project's files
nor its repository change. Reports on Groundwork's own stacks use the same code; docs/examples/comment.md has one.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import TIMEOUT
from tests.support.small_projects import create_project, variables

pytestmark = pytest.mark.engine

PROGRAM = """\
import pulumi_aws as aws

vpc = aws.ec2.Vpc("network", cidr_block="10.0.0.0/16")
aws.ec2.SecurityGroup(
    "nodes", vpc_id=vpc.id, name="nodes", description="Nodes",
    ingress=[{"protocol": "tcp", "from_port": 443, "to_port": 443, "cidr_blocks": ["%s"]}],
)
aws.s3.Bucket("data", bucket="%s")
aws.cloudwatch.LogGroup("%s", name="/letters/%s", retention_in_days=30)
"""
BEFORE = PROGRAM % ("10.0.0.0/8", "letters-data", "alpha", "alpha")
AFTER = PROGRAM % ("0.0.0.0/0", "letters-archive", "beta", "beta")
BROKEN = 'raise ValueError("the program of the branch `broken`")\n'

FILES = {
    "Pulumi.yaml": "name: letters\nruntime: python\nstackConfigDir: stacks\n",
    "rehearsal.yaml": "stacks: stacks\n",
    ".gitignore": ".groundwork/\n__pycache__/\n",
    "stacks/Pulumi.test.yaml": "config:\n  aws:region: eu-west-1\n",
    "__main__.py": BROKEN,
}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.com", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with branches `broken` and `main`, and a working tree with changes."""
    folder = create_project(tmp_path_factory.mktemp("letters"), FILES)
    git(folder, "init", "--quiet", "--initial-branch", "broken")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "Begin")
    git(folder, "checkout", "--quiet", "-b", "main")
    (folder / "__main__.py").write_text(BEFORE)
    git(folder, "commit", "--quiet", "--all", "--message", "Fix the program")
    (folder / "__main__.py").write_text(AFTER)
    (folder / "stacks" / "Pulumi.new.yaml").write_text(FILES["stacks/Pulumi.test.yaml"])
    return folder


def report(folder: Path, stack: str, *arguments: str) -> str:
    reply = subprocess.run(
        [sys.executable, "-m", "reporting", stack, *arguments],
        cwd=folder,
        env=variables(),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert reply.returncode == 0, reply.stderr
    return reply.stdout


def test_a_change_is_compared_with_the_stack_at_the_base(folder: Path) -> None:
    before = git(folder, "status", "--porcelain"), git(folder, "worktree", "list")
    text = report(folder, "test", "--base", "main")
    assert "<code>test</code>: loses data" in text
    assert "| Resources | 1 added, 1 changed, 1 replaced, 1 deleted; 1 unchanged |" in text
    assert "- <code>data</code> is replaced because of bucket, and with it its objects" in text
    assert "| + added | <code>beta</code> |" in text
    assert "| - deleted | <code>alpha</code> |" in text
    assert "<code>10.0.0.0/8</code> → <code>0.0.0.0/0</code>" in text
    assert "No cluster runs for this report" in text
    assert (git(folder, "status", "--porcelain"), git(folder, "worktree", "list")) == before
    # The base is retained, and the working tree is previewed again.
    (folder / "__main__.py").write_text(BEFORE)
    assert "<code>test</code>: no changes" in report(folder, "test", "--base", "main")
    (folder / "__main__.py").write_text(AFTER)


def test_a_base_without_the_stack_makes_all_of_it_new(folder: Path) -> None:
    text = report(folder, "new", "--base", "main")
    assert "main has no stack new, so all of it is new." in text
    assert "| Resources | 4 added, 0 changed, 0 replaced, 0 deleted; 0 unchanged |" in text


def test_a_base_that_cannot_be_brought_up_is_reported(folder: Path) -> None:
    text = report(folder, "test", "--base", "broken")
    assert "test at broken cannot be brought up: ValueError: the program of the branch" in text
    assert "| Resources | 4 added," in text


def test_a_working_tree_that_cannot_be_deployed_is_reported(folder: Path) -> None:
    (folder / "__main__.py").write_text(AFTER.replace("10.0.0.0/16", "10.0.0.0/8"))
    text = report(folder, "test")
    (folder / "__main__.py").write_text(AFTER)
    assert "<code>test</code>: cannot be deployed like this" in text
    assert "### Refused" in text
    assert "- <code>network</code>: " in text


def test_the_page_is_one_file(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    assert report(folder, "test", "--base", "main", "--format", "html", "--out", str(path)) == ""
    assert path.read_text().startswith("<!doctype html>")
