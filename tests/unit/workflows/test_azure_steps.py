"""Every script of the pipelines of Azure DevOps is executed, and its effects are compared.

The same parts are real and simulated as for GitHub's steps (see test_steps). Tasks themselves are not run, and neither
are conditions: Azure DevOps' schema checks their names and inputs.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.azure_pipelines import list_pipelines
from tests.support.azure_steps import Agent, list_scripts
from tests.support.workflow_cases import DIGEST, PROGRAMS, PROMOTED, succeed
from tests.support.workflow_clones import clone_project, find_remote, read_pushed_images, write_digests
from tests.support.workflow_steps import COMMIT, Result, Step

pytestmark = pytest.mark.process

TARGET = "coalesce(replace(variables['System.PullRequest.TargetBranch'], 'refs/heads/', 'origin/'), 'HEAD~1')"
VERSION = "coalesce(stageDependencies.train.train.outputs['train.version'], variables['GIVEN'])"
EXPRESSIONS = {TARGET: "HEAD", VERSION: "3", "System.AccessToken": "token"}
# Scripts that run make: pipeline, job, a part of the script, and the arguments of make.
TARGETS = [
    ("azure-pipelines.yml", "check/lint", "lint", [["lint", "lint-lifecycle"]]),
    ("azure-pipelines.yml", "check/test", "test-fast", [["test-fast"]]),
    ("azure-pipelines.yml", "check/test", "make test\n", [["test"]]),
    ("azure-pipelines.yml", "rehearse/rehearse_azure_dev", "make rehearse", [["rehearse", "STRICT=1"]]),
    ("azure-pipelines.yml", "preview/preview_azure_dev", "make preview", [["preview"]]),
    (
        "azure-pipelines.yml",
        "deploy_dev/deploy_azure_dev",
        "make up",
        [["preflight"], ["up", "YES=1"], ["smoke-test"]],
    ),
    ("backup.yml", "backup_azure_prod", "make backup", [["backup"]]),
    ("nightly.yml", "soak", "make soak", [["soak"]]),
    ("nightly.yml", "stack_azure_prod", "make restore-test", [["restore-test"]]),
    ("images.yml", "commit_digests/commit", "make setup", [["setup"]]),
]
# All other scripts, keyed by the names that the tests below use.
OTHERS = {
    "changed": ("azure-pipelines.yml", "rehearse/rehearse_azure_dev", "make changed-stacks"),
    "report": ("azure-pipelines.yml", "rehearse/rehearse_azure_dev", "make report"),
    "list": ("backup.yml", "backup_azure_prod", "delivery environments"),
    "drift": ("nightly.yml", "stack_azure_dev", "make drift"),
    "audit": ("nightly.yml", "stack_azure_dev", "make audit"),
    "image": ("images.yml", "build_images/build_serving", "publish-image"),
    "serving": ("images.yml", "commit_digests/commit", "set-serving-image"),
    "digests": ("images.yml", "commit_digests/commit", "commit-digests"),
    "training": ("continuous-training.yml", "train_azure_dev", "request-training"),
    "promotion": ("model-promotion.yml", "promote", "delivery promote"),
    "plan": ("mlops-pipeline.yml", "plan/plan", "delivery plan"),
    "train": ("mlops-pipeline.yml", "train/train", "delivery train"),
    "deploy": ("mlops-pipeline.yml", "deploy/promote", "delivery promote"),
    "analyse": ("mlops-pipeline.yml", "ab_test/analyse", "delivery analyse"),
    "promote": ("mlops-pipeline.yml", "promote/promote", "delivery promote"),
    "tag": ("mlops-pipeline.yml", "promote/promote", "refs/tags"),
}
STEPS = [step for path in list_pipelines() for step in list_scripts(path)]


def find(pipeline: str, job: str, part: str) -> Step:
    (found,) = (s for s in STEPS if (s.workflow, s.job) == (pipeline, job) and part in f"{s.command}\n")
    return found


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path / "agent", PROGRAMS)


def run(agent: Agent, name: str, **environment: str) -> Result:
    return agent.run(find(*OTHERS[name]), EXPRESSIONS, **environment)


def test_every_script_is_executed_here() -> None:
    """A script of a template counts once, although the template is expanded for several stacks."""
    executed = {find(*target[:3]).command for target in TARGETS} | {find(*place).command for place in OTHERS.values()}
    assert {step.command for step in STEPS} == executed
    source = Path(__file__).read_text()
    assert [name for name in OTHERS if f'run(agent, "{name}"' not in source] == []


@pytest.mark.parametrize(("pipeline", "job", "part", "arguments"), TARGETS)
def test_make_targets_run_for_the_stack_of_the_job(
    agent: Agent, pipeline: str, job: str, part: str, arguments: list[list[str]]
) -> None:
    step = find(pipeline, job, part)
    assert succeed(agent.run(step, EXPRESSIONS)).called("make") == arguments
    if "azure_" in job:
        assert step.variables["STACK"] == f"azure-{job.rpartition('azure_')[2]}"


def test_a_failed_command_stops_its_script(tmp_path: Path) -> None:
    """Tasks run scripts without `-e`, so each script with several commands has to set it."""
    failing = Agent(tmp_path / "agent", {**PROGRAMS, "make": 'test "$1" != preflight'})
    result = failing.run(find("azure-pipelines.yml", "deploy_dev/deploy_azure_dev", "make up"), EXPRESSIONS)
    assert (result.code != 0, result.called("make")) == (True, [["preflight"]])


def test_changed_stacks_are_an_output_that_conditions_read(agent: Agent) -> None:
    assert isinstance(json.loads(succeed(run(agent, "changed")).outputs["stacks"]), list)


def test_a_report_is_added_to_the_page_of_the_run(agent: Agent) -> None:
    result = succeed(run(agent, "report"))
    report = agent.temp / "report.md"
    assert result.called("make") == [["report", "FORMAT=markdown", "BASE=HEAD", f"OUT={report}"]]
    assert f"##vso[task.uploadsummary]{report}" in result.printed


def test_whether_a_stack_is_backed_up_is_an_output(agent: Agent) -> None:
    outputs = succeed(run(agent, "list")).outputs
    assert json.loads(outputs["all"]) == ["azure-prod"]
    assert json.loads(outputs["backed_up"]) == [], "the shipped stacks have no backup store"


def test_the_nightly_findings_of_the_policies_are_written_as_sarif(agent: Agent) -> None:
    log = agent.temp / "events.jsonl"
    assert succeed(run(agent, "drift")).called("make") == [["drift", f"LOG={log}"]]
    log.write_text(json.dumps({"summaryEvent": {}}) + "\n")
    succeed(run(agent, "audit"))
    assert json.loads((agent.temp / "policies-azure-dev.sarif").read_text())["version"] == "2.1.0"


def test_an_image_is_built_scanned_pushed_and_signed_with_a_key(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent", PROGRAMS, clone_project(tmp_path))
    key = "azurekms://acme.vault.azure.net/images"
    result = succeed(run(agent, "image", COSIGN_KEY=key))
    name = "acmegwdev.azurecr.io/serving"
    assert [call[0] for call in result.called("docker")] == ["build", "push", "image"]
    assert result.called("az") == [["acr", "login", "--name", "acmegwdev"]]
    assert [call[-1] for call in result.called("trivy")] == [f"{name}:{COMMIT}"] * 2
    assert result.called("cosign")[0] == ["sign", "--yes", "--key", key, f"{name}@{DIGEST}"]
    assert (agent.workspace / "built" / "digests" / "serving").read_text() == f"serving={DIGEST}\n"


def test_an_image_that_cannot_be_signed_is_not_built(agent: Agent) -> None:
    result = run(agent, "image")
    assert (result.code != 0, result.called("docker")) == (True, [])
    assert "COSIGN_KEY: has to name the key that signs" in result.printed


def test_a_finding_of_a_scan_stops_the_image(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent", {**PROGRAMS, "trivy": "exit 1"}, clone_project(tmp_path))
    result = run(agent, "image", COSIGN_KEY="azurekms://acme.vault.azure.net/images")
    assert result.code != 0
    assert [call[0] for call in result.called("docker")] == ["build"]


def test_digests_go_to_the_overlay_and_into_a_pull_request(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent", PROGRAMS, clone_project(tmp_path))
    write_digests(lambda image: agent.temp / f"image-{image}" / "digests")
    (overlay,) = succeed(run(agent, "serving")).called("kubectl")
    assert overlay[-4:] == ["lifecycle.gitops", "set-image", "groundwork-serving", DIGEST]
    result = succeed(run(agent, "digests"))
    branch = f"images/azure-dev-{'c' * 12}"
    images = read_pushed_images(find_remote(agent.workspace), branch, "azure-dev")
    assert {images[name] for name in ("drift", "experiment", "promotion", "training")} == {DIGEST}
    (create,) = result.called("az")
    assert create[create.index("--source-branch") + 1] == branch
    assert create[create.index("--organization") + 1] == "https://dev.azure.com/acme/"
    assert succeed(run(agent, "digests")).called("az") == [], "nothing has changed, so there is nothing to propose"


def test_the_schedule_and_new_data_start_a_training_run(agent: Agent) -> None:
    (call,) = succeed(run(agent, "training", BUILD_REASON="Schedule")).called("kubectl")
    assert call[5:] == ["deployment/retraining", "--", "python", "-m", "lifecycle.retraining", "schedule"]
    (call,) = succeed(run(agent, "training", MODEL="churn", EVENT="2026-11-30")).called("kubectl")
    assert call[10:] == ["new-data", "churn", "--source", "/pipelines", "--id", "2026-11-30"]


def test_a_promotion_is_manual_or_a_retry_of_failed_events(agent: Agent) -> None:
    assert PROMOTED in succeed(run(agent, "promotion", MODEL="churn", VERSION="3")).printed
    (call,) = succeed(run(agent, "promotion", BUILD_REASON="Schedule")).called("kubectl")
    assert call[-2:] == ["lifecycle.promotion", "retry"]


def test_a_model_goes_from_training_to_its_tag(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent", PROGRAMS, clone_project(tmp_path))
    planned = succeed(run(agent, "plan")).outputs
    assert planned == dict.fromkeys(("train", "images", "deploy", "ab_test", "promote"), "true")
    assert succeed(run(agent, "train")).outputs == {"version": "7"}
    deployed = succeed(run(agent, "deploy"))
    assert f"{PROMOTED}\nchurn-challenger serves version 3." in deployed.printed
    assert deployed.called("make") == [["smoke-test"]]
    assert "churn-forest: continue" in succeed(run(agent, "analyse")).printed
    assert PROMOTED in succeed(run(agent, "promote")).printed
    for _ in range(2):  # the second run changes nothing
        succeed(run(agent, "tag"))
    assert (find_remote(agent.workspace) / "refs" / "tags" / "models" / "azure-dev" / "churn" / "3").exists()


def test_a_pipeline_without_a_version_has_one_message(agent: Agent) -> None:
    result = run(agent, "plan", DEPLOYMENT_TYPE="promote")
    assert (result.code, result.outputs) == (1, {})
    assert "version is '', which is not a version number" in result.printed
