"""Estimates on the command line and in a rehearsal's outcome, for resources by hand and with the project's settings.

Proves formats, comparison, budget and invalid input. That the resources come from a preview is proven in
tests/engine/test_estimates.py.
"""

from __future__ import annotations

import json
import subprocess
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from estimates import Resource
from rehearsal import estimation, project
from rehearsal.console import UserError
from rehearsal.session import Rehearsal
from rehearsal.toolchain import ROOT
from tests.support.estimated_resources import provider, resource

STACK = "aws-dev"
NAT = "aws:ec2/natGateway:NatGateway"
BEFORE = [provider("aws"), resource(NAT, "a")]
AFTER = [provider("aws"), resource(NAT, "a", ("urn::x",)), resource("aws:eks/cluster:Cluster", "cluster")]


@pytest.fixture
def stack_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings of a stack, in a project without rehearsals."""
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    for name in (STACK, "aws-prod"):
        (stacks / f"Pulumi.{name}.yaml").write_text((ROOT / "stacks" / f"Pulumi.{name}.yaml").read_text())
    copy = replace(project.load(ROOT), root=tmp_path, stacks=stacks)
    monkeypatch.setattr(project, "current", lambda: copy)
    resources = {STACK: AFTER, "aws-prod": BEFORE}
    monkeypatch.setattr(estimation, "preview_resources", lambda rehearsal, _: resources[rehearsal.stack])
    return stacks / f"Pulumi.{STACK}.yaml"


def set_budget(file: Path, dollars: int) -> None:
    file.write_text(f"{file.read_text()}  groundwork:cost: {{monthlyBudget: {dollars}}}\n")


def print_cost(capsys: pytest.CaptureFixture[str], style: str = "text", diff: str = "") -> str:
    assert estimation.print_cost(Namespace(stack=STACK, port=0, format=style, diff=diff)) == 0
    return capsys.readouterr().out


@pytest.mark.usefixtures("stack_file")
def test_the_cost_of_a_stack_has_total_parts_and_bases(capsys: pytest.CaptureFixture[str]) -> None:
    text = print_cost(capsys)
    assert text.startswith("aws-dev: 112.84 USD a month in eu-west-1, by prices of 2026-")
    assert "gateway: 730 h at 0.048, data: 100 GB at 0.048" in text
    assert "control plane: 730 h at 0.1" in text


@pytest.mark.usefixtures("stack_file")
def test_markdown_and_json_have_the_same_figures(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(print_cost(capsys, "json"))
    assert (document["totalUsd"], document["isComplete"], document["budget"]) == (112.84, True, None)
    assert document["rows"][0]["items"][0] == {
        "what": "control plane",
        "quantity": 730,
        "unit": "hour",
        "unitUsd": 0.1,
        "usd": 73.0,
        "basis": "730 h",
        "source": "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonEKS/current/eu-west-1/index.json",
        "checked": "2026-09-18",
    }
    assert "| 73.00 | cluster | control plane: 730 h at 0.1 |" in print_cost(capsys, "markdown")


@pytest.mark.usefixtures("stack_file")
def test_a_stack_is_compared_with_another_stack(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(print_cost(capsys, "json", diff="aws-prod"))
    assert document["difference"]["against"] == "aws-prod"
    assert document["difference"]["totalUsd"] == 73.0
    assert [(row["name"], row["beforeUsd"], row["afterUsd"]) for row in document["difference"]["rows"]] == [
        ("cluster", 0, 73.0)
    ]
    assert "Against aws-prod: +73.00 USD a month" in print_cost(capsys, diff="aws-prod")


def commit(folder: Path) -> None:
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    for command in (["init", "--quiet"], ["add", "."], [*author, "commit", "--quiet", "--message", "One"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True)


@pytest.mark.process
def test_a_stack_is_compared_with_the_files_of_a_commit(
    stack_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(stack_file.parents[1])
    stack_file.with_name("later").touch()
    seen: list[bool] = []

    def preview(folder: Path, stack: str, commit: str) -> list[Resource]:
        seen.extend([(folder / "stacks" / f"Pulumi.{stack}.yaml").exists(), (folder / "stacks" / "later").exists()])
        assert commit == "HEAD"
        return BEFORE

    monkeypatch.setattr(estimation, "_preview_elsewhere", preview)
    document = json.loads(print_cost(capsys, "json", diff="HEAD"))
    assert document["difference"]["totalUsd"] == 73.0
    assert seen == [True, False]


@pytest.mark.process
@pytest.mark.parametrize("base", ["nothing-like-that", "--output=/tmp/x"])
def test_a_base_that_is_neither_stack_nor_commit_is_one_message(stack_file: Path, base: str) -> None:
    commit(stack_file.parents[1])
    with pytest.raises(UserError, match="is neither a stack nor a commit"):
        estimation.print_cost(Namespace(stack=STACK, port=0, format="text", diff=base))


@pytest.mark.parametrize(("budget", "fails"), [(0, False), (113, False), (112, True)])
def test_an_estimate_above_the_budget_fails_a_rehearsal(stack_file: Path, budget: int, fails: bool) -> None:
    if budget:
        set_budget(stack_file, budget)
    estimate = estimation.estimate_resources(Rehearsal(STACK), AFTER)
    problems = estimate.list_problems()
    assert bool(problems) is fails
    if fails:
        assert "112.84 USD a month" in problems[0]
        assert "is above cost.monthlyBudget, 112. Remedy: `make cost STACK=aws-dev`" in problems[0]
        assert "raise the budget in stacks/Pulumi.aws-dev.yaml" in problems[0]


def test_assumptions_are_settings_of_the_stack(stack_file: Path) -> None:
    stack_file.write_text(f"{stack_file.read_text()}  groundwork:cost: {{usage: {{networkGb: 0}}}}\n")
    estimate = estimation.estimate_resources(Rehearsal(STACK), AFTER)
    assert estimate.document["totalUsd"] == pytest.approx(108.04)


@pytest.mark.usefixtures("stack_file")
def test_the_summary_has_cost_parts_and_critical_path() -> None:
    lines = estimation.estimate_resources(Rehearsal(STACK), AFTER).summary_lines()
    assert lines[0].startswith("cost            112.84 USD a month in eu-west-1")
    assert lines[2] == "deployment      about 10 min, most of them for cluster 10 min"


def test_a_project_without_cost_settings_is_rehearsed_without_an_estimate(stack_file: Path) -> None:
    plain = replace(project.load(ROOT), root=stack_file.parents[1], stacks=stack_file.parent, cost="")
    rehearsal = Rehearsal(STACK, project=plain)
    assert estimation.estimate_state(rehearsal, json.dumps({"deployment": {"resources": []}})) is None
    with pytest.raises(UserError, match=r"rehearsal\.yaml does not set 'cost'"):
        estimation.estimate_resources(rehearsal, AFTER)


@pytest.mark.usefixtures("stack_file")
def test_the_duration_of_a_stack_is_its_critical_path(capsys: pytest.CaptureFixture[str]) -> None:
    estimation.print_duration(Namespace(stack=STACK, port=0, format="json"))
    document = json.loads(capsys.readouterr().out)
    assert (document["criticalPathSeconds"], document["makespanSeconds"]) == (617, 617)
    assert [step["name"] for step in document["path"]] == ["cluster"]
    estimation.print_duration(Namespace(stack=STACK, port=0, format="text"))
    assert "0:00  10:17  617 s  cluster  aws:eks/cluster:Cluster" in capsys.readouterr().out
