"""Which stacks a change concerns, according to its files, and in a real git repository.

Proves the rules. Not proven: that a rehearsal does not read the files that the rules ignore.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from delivery.changed_stacks import classify, describe_removed, find_changed_stacks, require_base
from delivery.errors import DeliveryError
from delivery.stacks import DeclaredStack, read_stacks

STACKS = [
    DeclaredStack("aws-dev", "aws", "dev"),
    DeclaredStack("azure-dev", "azure", "dev"),
    DeclaredStack("odd", "", ""),
]
ALL = ["aws-dev", "azure-dev", "odd"]


@pytest.mark.parametrize(
    ("file", "stacks"),
    [
        ("stacks/Pulumi.aws-dev.yaml", ["aws-dev"]),
        ("platform/gitops/stacks/azure-dev/kustomization.yaml", ["azure-dev"]),
        ("infra/aws/network.py", ["aws-dev", "odd"]),
        ("rehearsal/simulator/azure/storage.py", ["azure-dev", "odd"]),
        ("policies/controls/aws/eks.py", ["aws-dev", "odd"]),
        ("infra/cluster/charts.yaml", ALL),
        ("policies/exceptions.yaml", ALL),
        ("requirements.txt", ALL),
        ("platform/gitops/base/kustomization.yaml", ALL),
        ("stacks/approvals.yaml", []),
        ("README.md", []),
        ("docs/settings.md", []),
        ("platform/runbooks/LokiDown.md", []),
        ("tests/unit/test_docs.py", []),
        (".github/workflows/deploy.yaml", []),
        ("delivery/stacks.py", []),
    ],
)
def test_a_file_concerns_the_stacks_that_use_it(file: str, stacks: list[str]) -> None:
    changed = classify([file], STACKS)
    assert (changed.stacks, changed.removed) == (stacks, [])


def test_a_stack_whose_file_was_removed_is_reported_and_not_rehearsed() -> None:
    changed = classify(["stacks/Pulumi.gone.yaml", "stacks/Pulumi.aws-dev.yaml"], STACKS)
    assert (changed.stacks, changed.removed) == (["aws-dev"], ["gone"])
    assert "no longer exists" in describe_removed("gone")
    assert "`make destroy STACK=gone`" in describe_removed("gone")


@pytest.mark.parametrize("base", ["", "0" * 40])
def test_a_comparison_requires_a_base(base: str) -> None:
    with pytest.raises(DeliveryError, match="BASE=<commit or branch>"):
        require_base(base)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@localhost")
    reply = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return reply.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "stacks"
    folder.mkdir()
    for cloud in ("aws", "azure"):
        text = f"config:\n  groundwork:cloud: {cloud}\n  groundwork:environment: dev\n"
        (folder / f"Pulumi.{cloud}-dev.yaml").write_text(text)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "begin")
    return tmp_path


@pytest.mark.process
def test_a_change_is_compared_with_the_common_commit(repository: Path) -> None:
    git(repository, "switch", "--quiet", "--create", "change")
    (repository / "stacks" / "Pulumi.aws-dev.yaml").unlink()
    (repository / "stacks" / "Pulumi.aws-qa.yaml").write_text("config: {groundwork:cloud: aws}\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "rename")
    git(repository, "switch", "--quiet", "main")
    (repository / "stacks" / "Pulumi.azure-dev.yaml").write_text("config: {}\n")
    git(repository, "commit", "--quiet", "--all", "--message", "meanwhile on main")
    git(repository, "switch", "--quiet", "change")
    changed = find_changed_stacks(repository, "main")
    assert (changed.stacks, changed.removed) == (["aws-qa"], ["aws-dev"]), "changes on main do not count"


@pytest.mark.process
def test_the_error_of_a_missing_base_has_a_remedy(repository: Path) -> None:
    with pytest.raises(DeliveryError, match="`fetch-depth: 0` of actions/checkout"):
        find_changed_stacks(repository, "absent")


def test_a_name_that_would_be_an_option_is_not_a_stack(tmp_path: Path) -> None:
    for name in ("-x", "a b", "good"):
        (tmp_path / f"Pulumi.{name}.yaml").write_text("config: [broken\n")
    assert [stack.name for stack in read_stacks(tmp_path)] == ["good"]
