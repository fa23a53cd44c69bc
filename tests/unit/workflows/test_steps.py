"""Every `run:` step of the workflows and of their actions is executed, and its effects are compared.

Real: bash with GitHub's options, the commands of `delivery` with everything that they read (stacks, settings, git,
policies), `make changed-stacks` and `make audit`, git with its own remote. Simulated, each by a script that is earlier
on PATH, records its arguments and prints the real program's output: docker, trivy, cosign, gh, aws, az, kubectl,
pulumi, and `make` for targets with their own tests (checks, rehearsals, reports, deployments;
tests/engine/test_deployment.py runs those of a deployment on simulated clouds). Actions (`uses:`) are not run, nor are
conditions, which actionlint checks.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.support.workflow_cases import BACKEND, MODEL, OTHERS, PROGRAMS, TARGETS, find, find_target, succeed
from tests.support.workflow_steps import ACTIONS, Machine, Step, list_steps, list_workflows

pytestmark = pytest.mark.process


def test_every_step_is_executed_here() -> None:
    executed = {find_target(*target).label for target in TARGETS} | {find(name).label for name in OTHERS}
    every = {step.label for path in list_workflows() for step in list_steps(path) if step.command}
    assert every == executed
    source = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*steps.py"))
    assert [name for name in OTHERS if f'"{name}"' not in source] == []


@pytest.mark.parametrize(("workflow", "job", "arguments"), TARGETS)
def test_a_make_target_runs_for_the_stack_of_the_job(
    machine: Machine, workflow: str, job: str, arguments: list[str]
) -> None:
    step = find_target(workflow, job, arguments)
    expressions = {**MODEL, **BACKEND, "matrix.stack": "aws-dev", "needs.train.outputs.version || inputs.version": "3"}
    expressions["github.event.pull_request.base.sha || github.event.before"] = "HEAD"
    others = dict.fromkeys(["github.token", "needs.stacks.outputs.limit", "vars.DEPLOYED_STACKS"], "x")
    result = succeed(machine.run(step, {**expressions, **others}))
    assert result.called("make") == [arguments]


BASE = "github.event.pull_request.base.sha || github.event.before"


def test_changed_stacks_are_an_output_for_a_matrix(machine: Machine) -> None:
    result = succeed(machine.run(find("changed"), {BASE: "HEAD"}))
    assert isinstance(json.loads(result.outputs["stacks"]), list)
    assert json.loads(result.outputs["removed"]) == []
    assert 8_192 <= int(result.outputs["limit"]) <= 64_000
    first = machine.run(find("changed"), {BASE: "0" * 40})
    assert first.code != 0
    assert "error: There is no commit to compare with" in first.printed


def test_a_report_becomes_an_artifact_and_the_runs_summary(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", PROGRAMS, tmp_path)
    expressions = {BASE: "c0ffee", "matrix.stack": "aws-dev", "needs.stacks.outputs.limit": "32000"}
    result = succeed(machine.run(find("report"), expressions))
    arguments = ["report", "FORMAT=markdown", "BASE=c0ffee", "LIMIT=32000", "OUT=reports/aws-dev.md"]
    assert result.called("make") == [arguments]
    assert (tmp_path / "reports" / "aws-dev.md").read_text() == result.summary == "3 resources are added\n"


def test_reports_become_one_comment(machine: Machine) -> None:
    folder = machine.temp / "reports" / "report-aws-dev"
    folder.mkdir(parents=True)
    (folder / "aws-dev.md").write_text("3 resources are added, says @somebody")
    commit = "github.event.workflow_run.head_sha"
    result = succeed(machine.run(find("comment"), {commit: "a" * 40, "github.token": "t"}))
    assert "The comment on pull request 7 has been written." in result.printed
    (written,) = (call for call in result.called("gh") if "POST" in call)
    assert written[3] == "repos/acme/ml-platform/issues/7/comments"
    assert "3 resources are added, says @\u200bsomebody" in written[5]


STACKS = "aws-prod azure-dev aws-staging"


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("order", "inputs.stacks || vars.DEPLOYED_STACKS"),
        ("backup-list", "vars.DEPLOYED_STACKS"),
        ("nightly-list", "vars.DEPLOYED_STACKS"),
        ("dispatch-list", "vars.DISPATCHING_STACKS"),
        ("training-list", "vars.TRAINING_STACKS"),
    ],
)
def test_stacks_are_listed_by_environment(machine: Machine, name: str, expression: str) -> None:
    outputs = succeed(machine.run(find(name), {expression: STACKS})).outputs
    assert {key: json.loads(value) for key, value in outputs.items()} == {
        "dev": ["azure-dev"],
        "staging": ["aws-staging"],
        "prod": ["aws-prod"],
        "all": ["azure-dev", "aws-staging", "aws-prod"],
        "backed_up": [],  # the shipped stacks have no backup store
    }
    assert json.loads(succeed(machine.run(find(name), {expression: ""})).outputs["all"]) == []
    unknown = machine.run(find(name), {expression: "aws-dve"})
    assert (unknown.code, unknown.outputs) == (1, {})
    assert "Did you mean 'aws-dev'?" in unknown.printed


def test_a_stack_whose_file_was_removed_is_not_deployed(machine: Machine) -> None:
    gone = machine.run(find("order"), {"inputs.stacks || vars.DEPLOYED_STACKS": "removed-stack"})
    assert gone.code == 1
    assert "There is no stack 'removed-stack': stacks/Pulumi.removed-stack.yaml does not exist." in gone.printed


def test_a_notification_without_an_address_is_not_an_error(machine: Machine) -> None:
    expressions = {"inputs.text": "x $(touch /tmp/never)", "secrets.SLACK_WEBHOOK_URL": ""}
    assert "so no notification is sent" in succeed(machine.run(find("notify"), expressions)).printed


def test_the_nightly_findings_of_the_policies_are_written_as_sarif(tmp_path: Path, machine: Machine) -> None:
    expressions = {**BACKEND, "matrix.stack": "aws-dev"}
    drift = succeed(machine.run(find("drift"), expressions))
    log = machine.temp / "events.jsonl"
    assert drift.called("make") == [["drift", f"LOG={log}"]]
    log.write_text(json.dumps({"summaryEvent": {}}) + "\n")
    step = find("audit")
    command = step.command.replace("OUTPUT=policies.sarif", f"OUTPUT={tmp_path / 'policies.sarif'}")
    audit = Step(step.workflow, step.job, step.index, {"run": command}, step.variables)
    assert "aws-dev: 0 violations of policies" in succeed(machine.run(audit, expressions)).summary
    assert json.loads((tmp_path / "policies.sarif").read_text())["version"] == "2.1.0"


def test_the_actions_steps_set_the_variables_of_the_providers(machine: Machine) -> None:
    steps = yaml.safe_load((ACTIONS / "cloud" / "action.yaml").read_text())["runs"]["steps"]
    setup, azure = (
        Step("cloud", "action", index, step, step.get("env", {})) for index, step in enumerate(steps) if "run" in step
    )
    assert succeed(machine.run(setup, {})).called("make") == [["setup"]]
    file = machine.temp / "env"
    inputs = {"inputs.client": "c", "inputs.tenant": "t", "inputs.subscription": "s"}
    succeed(machine.run(azure, inputs, GITHUB_ENV=str(file)))
    assert file.read_text().splitlines() == [
        "ARM_USE_OIDC=true",
        "ARM_CLIENT_ID=c",
        "ARM_TENANT_ID=t",
        "ARM_SUBSCRIPTION_ID=s",
    ]
