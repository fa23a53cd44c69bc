"""Rules for all workflows: permissions, pins, secrets, identities, limits, and commands that exist.

These are the project's own rules, in addition to actionlint and zizmor, which `make lint` runs. Not proven: that a
pinned digest belongs to the version beside it, which was looked up in the action's repository, as renovate does.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rehearsal.toolchain import ROOT
from tests.support.azure_pipelines import list_pipelines
from tests.support.azure_steps import list_scripts
from tests.support.workflow_steps import ACTIONS, WORKFLOWS, list_steps, list_workflows, read

PATHS = list_workflows()
PINNED = re.compile(r"[\w./-]+@[0-9a-f]{40}")
FORK_SAFE = "github.event.pull_request.head.repo.full_name == github.repository"


def jobs(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read(path)["jobs"]
    return found


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_a_workflow_has_no_permissions_and_each_job_its_own(path: Path) -> None:
    assert read(path)["permissions"] == {}
    for name, job in jobs(path).items():
        assert job["permissions"], f"{name} has no permissions"
        assert "write-all" not in str(job["permissions"])
        if "uses" not in job:
            assert job["timeout-minutes"] <= 300, f"{name} has no timeout"


WRITES = {
    ("deploy-stack.yaml", "deploy"): {"id-token"},
    ("deploy.yaml", "dev"): {"id-token"},
    ("deploy.yaml", "staging"): {"id-token"},
    ("deploy.yaml", "prod"): {"id-token"},
    ("images.yaml", "build"): {"id-token"},
    ("images.yaml", "commit"): {"contents", "id-token", "pull-requests"},
    ("mlops-pipeline.yaml", "train"): {"id-token"},
    ("mlops-pipeline.yaml", "images"): {"contents", "id-token", "pull-requests"},
    ("mlops-pipeline.yaml", "deploy"): {"id-token"},
    ("mlops-pipeline.yaml", "ab-test"): {"id-token"},
    ("mlops-pipeline.yaml", "promote"): {"contents", "id-token"},
    ("deploy-on-model-promotion.yml", "promote"): {"id-token"},
    ("deploy-on-model-promotion.yml", "retry"): {"id-token"},
    ("continuous-training.yaml", "new-data"): {"id-token"},
    ("continuous-training.yaml", "schedule"): {"id-token"},
    ("backup.yaml", "stack"): {"id-token"},
    ("nightly.yaml", "stack"): {"id-token", "security-events"},
    ("pull-request.yaml", "preview"): {"id-token"},
    ("pull-request-comment.yaml", "comment"): {"pull-requests"},
}


def test_write_permissions_of_jobs_are_listed() -> None:
    found = {
        (path.name, name): {what for what, level in job["permissions"].items() if level == "write"}
        for path in PATHS
        for name, job in jobs(path).items()
    }
    assert {job: writes for job, writes in found.items() if writes} == WRITES


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_a_job_with_an_identity_runs_in_an_environment_whose_subject_the_cloud_trusts(path: Path) -> None:
    """Without an environment the subject is the branch or the event, which any job of any workflow has."""
    for name, job in jobs(path).items():
        if job["permissions"].get("id-token") == "write" and "uses" not in job:
            assert job["environment"], name


def list_uses() -> list[tuple[str, str]]:
    """(file, line) of each use of an action, with the comment after it."""
    files = [*PATHS, *ACTIONS.glob("*/action.yaml")]
    lines = [(path.name, line.strip()) for path in files for line in path.read_text().splitlines()]
    return [(name, line) for name, line in lines if re.match(r"(- )?uses:", line)]


@pytest.mark.parametrize(("file", "line"), list_uses())
def test_an_action_is_pinned_by_digest_with_its_version_beside_it(file: str, line: str) -> None:
    action = line.split("uses:")[1].split("#")[0].strip()
    if action.startswith("./"):
        assert (ROOT / action).exists()
        return
    assert PINNED.fullmatch(action), file
    assert re.search(r"# v\d+(\.\d+)*\b", line), file


def test_one_version_of_each_action_is_used() -> None:
    versions: dict[str, set[str]] = {}
    for _, line in list_uses():
        name, _, digest = line.split("uses:")[1].split("#")[0].strip().partition("@")
        versions.setdefault(name, set()).add(digest)
    assert {name: digests for name, digests in versions.items() if len(digests) > 1} == {}


def test_a_forks_run_has_no_secret_no_identity_and_no_write() -> None:
    path = WORKFLOWS / "pull-request.yaml"
    assert "pull_request_target" not in path.read_text()
    for name, job in jobs(path).items():
        if job["permissions"] != {"contents": "read"} or "secrets." in yaml.safe_dump(job):
            assert FORK_SAFE in job["if"], name


def test_a_privileged_job_on_a_forks_report_runs_none_of_its_code() -> None:
    text = (WORKFLOWS / "pull-request-comment.yaml").read_text()
    (job,) = jobs(WORKFLOWS / "pull-request-comment.yaml").values()
    checkout = next(step for step in job["steps"] if "actions/checkout@" in step.get("uses", ""))
    assert "ref" not in checkout["with"]
    assert "secrets." not in text
    (download,) = (step["with"] for step in job["steps"] if "download-artifact" in step.get("uses", ""))
    assert download["path"].startswith("${{ runner.temp }}"), "no file of the checkout can be overwritten"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_no_command_contains_an_expression(path: Path) -> None:
    assert [step.label for step in list_steps(path) if "${{" in step.command] == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_git_credentials_are_not_persisted(path: Path) -> None:
    for step in list_steps(path):
        if "actions/checkout@" in step.content.get("uses", ""):
            assert step.content["with"]["persist-credentials"] is False


def list_commands() -> list[str]:
    """The commands of all steps, and the scripts that they call."""
    steps = [step.command for path in PATHS for step in list_steps(path)]
    steps += [step.command for path in list_pipelines() for step in list_scripts(path)]
    scripts = {name for text in steps for name in re.findall(r"\bscripts/([a-z-]+)", text)}
    return [*steps, *((ROOT / "scripts" / name).read_text() for name in sorted(scripts))]


def test_every_make_target_in_workflows_exists() -> None:
    lines = [line for text in list_commands() for line in re.findall(r"\bmake ([a-z -]+)", text)]
    called = {word for line in lines for word in line.split()}
    assert called > {"lint", "test", "rehearse", "up", "preflight", "drift", "audit"}
    targets = set(re.findall(r"^([a-z][a-z -]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    known = {word for line in targets for word in line.split()}
    assert called - known == set()


def test_every_command_of_delivery_exists() -> None:
    called = {word for text in list_commands() for word in re.findall(r"-m delivery ([a-z-]+)", text)}
    source = "".join(path.read_text() for path in (ROOT / "delivery").glob("*.py"))
    assert called == set(re.findall(r'add\(\s*"([a-z-]+)"', source)) - {"changed-stacks", "audit"}


def test_caches_are_keyed_on_locks_and_never_restored_where_something_is_published() -> None:
    text = (ACTIONS / "setup" / "action.yaml").read_text()
    for lock in ("requirements.txt", "platform/lifecycle/requirements.txt", "third_party/go/*/go.sum"):
        assert f"'{lock}'" in text
    for name in ("deploy-stack.yaml", "images.yaml", "mlops-pipeline.yaml", "deploy-on-model-promotion.yml"):
        for step in list_steps(WORKFLOWS / name):
            if step.content.get("uses") == "./.github/actions/setup":
                assert step.content["with"] == {"save": "false"}, step.label


def test_each_environment_is_deployed_after_the_one_before() -> None:
    deploy = jobs(WORKFLOWS / "deploy.yaml")
    assert {name: set(deploy[name]["needs"]) for name in ("staging", "prod")} == {
        "staging": {"order", "dev"},
        "prod": {"order", "dev", "staging"},
    }
    for name, before in (("staging", ["dev"]), ("prod", ["dev", "staging"])):
        for each in before:
            assert f"needs.{each}.result)" in deploy[name]["if"], "a failed environment stops the later ones"
    (job,) = jobs(WORKFLOWS / "deploy-stack.yaml").values()
    runs = [step["run"] for step in job["steps"] if "run" in step]
    assert runs == ["make preflight", "make up YES=1", "make smoke-test"]
    assert job["strategy"]["max-parallel"] == 1
    assert job["strategy"]["fail-fast"] is True
    for workflow in (read(WORKFLOWS / "deploy.yaml"), job):
        assert workflow["concurrency"]["cancel-in-progress"] is False


def test_versions_that_are_written_twice_agree() -> None:
    required = (ROOT / "requirements.in").read_text()
    (pulumi,) = re.findall(r"^pulumi==(\S+)", required, re.MULTILINE)
    texts = [path.read_text() for path in (*PATHS, *ACTIONS.glob("*/action.yaml"))]
    assert {version for text in texts for version in re.findall(r"pulumi-version: (\S+)", text)} == {pulumi}
    built = {path.parent.name for path in (ROOT / "platform" / "lifecycle" / "images").glob("*/Dockerfile")}
    assert set(jobs(WORKFLOWS / "images.yaml")["build"]["strategy"]["matrix"]["image"]) == built
