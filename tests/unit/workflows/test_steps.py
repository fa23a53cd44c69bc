"""Every `run:` step of the workflows and of their actions is executed, and what it does is compared.

Real: bash with GitHub's options, the commands of `delivery` with all that they read (stacks, settings, git, policies),
`make changed-stacks` and `make audit`, git with a remote of its own. Simulated, each by a script that is earlier on
PATH, writes down its arguments and gives the answer of the real one: docker, trivy, cosign, gh, aws, az, kubectl,
pulumi, and `make` for targets that have tests of their own (checks, rehearsals, reports, deployments; the steps of a
deployment are run on simulated clouds by tests/engine/test_workflows.py). Actions (`uses:`) are not run, and neither
are conditions: what GitHub makes of them is actionlint's to check.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from rehearsal.toolchain import ROOT
from tests.support.workflow_steps import ACTIONS, Machine, Result, Step, find_step, list_steps, list_workflows

pytestmark = pytest.mark.process

MAKE = f"""
case "$1" in
changed-stacks|audit) exec {shutil.which("make")} --no-print-directory --old-file=.venv/.ready "$@" ;;
report) for word; do case "$word" in OUT=*) echo "3 resources are added" > "${{word#OUT=}}" ;; esac; done ;;
esac
"""
DIGEST = f"sha256:{'d' * 64}"
PROMOTED = "churn version 3: promoted c0ffee"
KUBECTL = f"""
case "$*" in
*"lifecycle.promotion promote churn 3"*) echo "{PROMOTED}" ;;
*"lifecycle.promotion retry"*) echo "No challenger waits for its promotion." ;;
*"lifecycle.retraining start churn"*) echo "churn: started: the run retrain-churn-4 has been started" ;;
*"lifecycle.retraining "*) echo "churn: started: the run retrain-churn-5 has been started" ;;
*"lifecycle.gitops set-image"*) echo "groundwork-serving: c0ffee" ;;
*"get pods"*) echo '{{"items": [{{"status": {{"containerStatuses": [{{"state": {{"terminated": {{"message":
  "{{\\"outcome\\": \\"retrained\\", \\"version\\": \\"7\\"}}"}}}}}}]}}}}]}}' ;;
*"get inferenceservices"*) echo '{{"items": [{{"metadata": {{"name": "churn-challenger", "labels":
  {{"app.kubernetes.io/name": "churn", "app.kubernetes.io/version": "3"}}}},
  "status": {{"conditions": [{{"type": "Ready", "status": "True"}}]}}}}]}}' ;;
*"logs job/"*) echo "churn-forest: continue" ;;
esac
"""
PROGRAMS = {
    "make": MAKE,
    "pulumi": 'echo "kind: Config"',
    "kubectl": KUBECTL,
    "docker": f"""
case "$1 $2" in
"image inspect") printf 'elsewhere/serving@sha256:0\\nregistry.example/serving@{DIGEST}\\n' ;;
"login --username") cat > /dev/null ;;
esac
""",
    "trivy": "",
    "cosign": "",
    "az": "",
    "aws": "echo a-password",
    "gh": """
case "$*" in
*/pulls\\?*) echo '[{"number": 7, "head": {"sha": "'"$COMMIT"'"}}]' ;;
*"--slurp"*) echo '[[]]' ;;
*"git/ref/tags"*) exit 1 ;;
esac
""",
}
MODEL = {"inputs.stack": "aws-dev", "inputs.model": "churn", "inputs.version": "3"}
BACKEND = {"vars.PULUMI_BACKEND_URL": "file:///tmp", "secrets.PULUMI_CONFIG_PASSPHRASE": "x"}

# Steps that call one target of the Makefile: workflow, job, and what it is called with.
TARGETS = [
    ("pull-request.yaml", "lint", ["lint", "lint-lifecycle"]),
    ("pull-request.yaml", "test-fast", ["test-fast"]),
    ("pull-request.yaml", "test", ["test"]),
    ("pull-request.yaml", "rehearse", ["rehearse", "STRICT=1"]),
    ("pull-request-comment.yaml", "comment", ["setup"]),
    ("deploy.yaml", "order", ["setup"]),
    ("deploy-stack.yaml", "deploy", ["preflight"]),
    ("deploy-stack.yaml", "deploy", ["up", "YES=1"]),
    ("deploy-stack.yaml", "deploy", ["smoke-test"]),
    ("notify.yaml", "notify", ["setup"]),
    ("nightly.yaml", "soak", ["soak"]),
    ("nightly.yaml", "stacks", ["setup"]),
    ("nightly.yaml", "stack", ["backup"]),
    ("nightly.yaml", "stack", ["restore-test"]),
    ("mlops-pipeline.yaml", "plan", ["setup"]),
    ("mlops-pipeline.yaml", "deploy", ["smoke-test"]),
    ("deploy-on-model-promotion.yml", "stacks", ["setup"]),
    ("continuous-training.yaml", "stacks", ["setup"]),
]
# All others: a name, by which the tests below call them, and workflow, job and a part of the command.
OTHERS = {
    "changed": ("pull-request.yaml", "stacks", "make changed-stacks"),
    "report": ("pull-request.yaml", "rehearse", "make report"),
    "comment": ("pull-request-comment.yaml", "comment", "delivery comment"),
    "order": ("deploy.yaml", "order", "delivery environments"),
    "notify": ("notify.yaml", "notify", "delivery notify"),
    "nightly-list": ("nightly.yaml", "stacks", "delivery environments"),
    "drift": ("nightly.yaml", "stack", "make drift"),
    "audit": ("nightly.yaml", "stack", "make audit"),
    "build": ("images.yaml", "build", "docker build"),
    "scan": ("images.yaml", "build", "trivy image"),
    "login-aws": ("images.yaml", "build", "get-login-password"),
    "login-azure": ("images.yaml", "build", "az acr login"),
    "push": ("images.yaml", "build", "docker push"),
    "sign": ("images.yaml", "build", "cosign sign"),
    "serving": ("images.yaml", "commit", "set-serving-image"),
    "digests": ("images.yaml", "commit", "set-images"),
    "plan": ("mlops-pipeline.yaml", "plan", "delivery plan"),
    "train": ("mlops-pipeline.yaml", "train", "delivery train"),
    "deploy": ("mlops-pipeline.yaml", "deploy", "delivery promote"),
    "ab-test": ("mlops-pipeline.yaml", "ab-test", "delivery analyse"),
    "promote": ("mlops-pipeline.yaml", "promote", "delivery promote"),
    "tag": ("mlops-pipeline.yaml", "promote", "git/refs"),
    "dispatch": ("deploy-on-model-promotion.yml", "promote", "delivery promote"),
    "dispatch-list": ("deploy-on-model-promotion.yml", "stacks", "delivery environments"),
    "retry": ("deploy-on-model-promotion.yml", "retry", "retry-promotions"),
    "new-data": ("continuous-training.yaml", "new-data", "request-training"),
    "training-list": ("continuous-training.yaml", "stacks", "delivery environments"),
    "schedule": ("continuous-training.yaml", "schedule", "request-training"),
}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine", PROGRAMS)


def others(name: str) -> Step:
    return find_step(*OTHERS[name])


def find_target(workflow: str, job: str, arguments: list[str]) -> Step:
    return find_step(workflow, job, f"make {' '.join(arguments)}")


def succeed(result: Result) -> Result:
    assert result.code == 0, result.printed
    return result


def test_every_step_is_executed_here() -> None:
    executed = {find_target(*target).label for target in TARGETS} | {others(name).label for name in OTHERS}
    every = {step.label for path in list_workflows() for step in list_steps(path) if step.command}
    assert every == executed
    source = Path(__file__).read_text()
    assert [name for name in OTHERS if source.count(f'"{name}"') < 2] == []


@pytest.mark.parametrize(("workflow", "job", "arguments"), TARGETS)
def test_a_target_is_made_for_the_stack_of_the_job(
    machine: Machine, workflow: str, job: str, arguments: list[str]
) -> None:
    step = find_target(workflow, job, arguments)
    expressions = {**MODEL, **BACKEND, "matrix.stack": "aws-dev", "needs.train.outputs.version || inputs.version": "3"}
    expressions["github.event.pull_request.base.sha || github.event.before"] = "HEAD"
    result = succeed(machine.run(step, {**expressions, **dict.fromkeys(["github.token", "vars.DEPLOYED_STACKS"], "x")}))
    assert result.called("make") == [arguments]


BASE = "github.event.pull_request.base.sha || github.event.before"


def test_changed_stacks_are_an_output_that_a_matrix_takes(machine: Machine) -> None:
    result = succeed(machine.run(others("changed"), {BASE: "HEAD"}))
    assert isinstance(json.loads(result.outputs["stacks"]), list)
    assert json.loads(result.outputs["removed"]) == []
    first = machine.run(others("changed"), {BASE: "0" * 40})
    assert first.code != 0
    assert "error: There is no commit to compare with" in first.printed


def test_a_report_becomes_an_artifact_and_the_runs_summary(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", PROGRAMS, tmp_path)
    result = succeed(machine.run(others("report"), {BASE: "c0ffee", "matrix.stack": "aws-dev"}))
    assert result.called("make") == [["report", "FORMAT=markdown", "BASE=c0ffee", "OUT=reports/aws-dev.md"]]
    assert (tmp_path / "reports" / "aws-dev.md").read_text() == result.summary == "3 resources are added\n"


def test_reports_become_one_comment(machine: Machine) -> None:
    folder = machine.temp / "reports" / "report-aws-dev"
    folder.mkdir(parents=True)
    (folder / "aws-dev.md").write_text("3 resources are added, says @somebody")
    commit = "github.event.workflow_run.head_sha"
    result = succeed(machine.run(others("comment"), {commit: "a" * 40, "github.token": "t"}))
    assert "The comment on pull request 7 has been written." in result.printed
    (written,) = (call for call in result.called("gh") if "POST" in call)
    assert written[3] == "repos/acme/ml-platform/issues/7/comments"
    assert "3 resources are added, says @\u200bsomebody" in written[5]


STACKS = "aws-prod azure-dev aws-staging"


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("order", "inputs.stacks || vars.DEPLOYED_STACKS"),
        ("nightly-list", "vars.DEPLOYED_STACKS"),
        ("dispatch-list", "vars.DISPATCHING_STACKS"),
        ("training-list", "vars.TRAINING_STACKS"),
    ],
)
def test_stacks_are_listed_by_environment(machine: Machine, name: str, expression: str) -> None:
    outputs = succeed(machine.run(others(name), {expression: STACKS})).outputs
    assert {key: json.loads(value) for key, value in outputs.items()} == {
        "dev": ["azure-dev"],
        "staging": ["aws-staging"],
        "prod": ["aws-prod"],
        "all": ["azure-dev", "aws-staging", "aws-prod"],
    }
    assert json.loads(succeed(machine.run(others(name), {expression: ""})).outputs["all"]) == []
    unknown = machine.run(others(name), {expression: "aws-dve"})
    assert (unknown.code, unknown.outputs) == (1, {})
    assert "Did you mean 'aws-dev'?" in unknown.printed


def test_a_stack_whose_file_is_gone_is_not_deployed(machine: Machine) -> None:
    gone = machine.run(others("order"), {"inputs.stacks || vars.DEPLOYED_STACKS": "removed-stack"})
    assert gone.code == 1
    assert "There is no stack 'removed-stack': stacks/Pulumi.removed-stack.yaml does not exist." in gone.printed


def test_without_an_address_a_notification_fails_nothing(machine: Machine) -> None:
    expressions = {"inputs.text": "x $(touch /tmp/never)", "secrets.SLACK_WEBHOOK_URL": ""}
    assert "so that nobody is told" in succeed(machine.run(others("notify"), expressions)).printed


def test_at_night_what_the_policies_found_is_written_as_sarif(tmp_path: Path, machine: Machine) -> None:
    expressions = {**BACKEND, "matrix.stack": "aws-dev"}
    drift = succeed(machine.run(others("drift"), expressions))
    log = machine.temp / "events.jsonl"
    assert drift.called("make") == [["drift", f"LOG={log}"]]
    log.write_text(json.dumps({"summaryEvent": {}}) + "\n")
    step = others("audit")
    command = step.command.replace("SARIF=policies.sarif", f"SARIF={tmp_path / 'policies.sarif'}")
    audit = Step(step.workflow, step.job, step.index, {"run": command}, step.variables)
    assert "aws-dev: 0 violations of policies" in succeed(machine.run(audit, expressions)).summary
    assert json.loads((tmp_path / "policies.sarif").read_text())["version"] == "2.1.0"


IMAGE = {"matrix.image": "serving", "vars.REGISTRY": "registry.example"}


def test_an_image_is_built_scanned_and_pushed_and_its_digest_is_the_registrys(machine: Machine) -> None:
    tag = f"registry.example/serving:{'c' * 40}"
    build = succeed(machine.run(others("build"), IMAGE))
    assert build.called("docker") == [["build", "--pull", "--file", "images/serving/Dockerfile", "--tag", tag, "."]]
    scan = succeed(machine.run(others("scan"), IMAGE))
    fails, lists = scan.called("trivy")
    assert fails[fails.index("--severity") + 1] == "HIGH,CRITICAL"
    assert fails[fails.index("--exit-code") + 1] == "1"
    assert lists == ["image", "--format", "cyclonedx", "--output", "sbom-serving.json", tag]
    push = succeed(machine.run(others("push"), IMAGE))
    assert push.called("docker")[0] == ["push", tag]
    assert push.outputs == {"digest": DIGEST}


def test_what_a_scan_finds_stops_the_image(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", {**PROGRAMS, "trivy": "exit 1"})
    assert machine.run(others("scan"), IMAGE).code == 1


def test_a_registry_gets_its_password_by_standard_input(machine: Machine) -> None:
    aws = {**IMAGE, "vars.REGISTRY": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/acme-gw-dev"}
    login = succeed(machine.run(others("login-aws"), aws))
    server = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
    assert login.called("docker") == [["login", "--username", "AWS", "--password-stdin", server]]
    azure = succeed(machine.run(others("login-azure"), {**IMAGE, "vars.REGISTRY": "acmegwdev.azurecr.io"}))
    assert azure.called("az") == [["acr", "login", "--name", "acmegwdev"]]


def test_an_image_is_signed_by_digest_with_its_sbom(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", PROGRAMS, tmp_path)
    result = succeed(machine.run(others("sign"), {**IMAGE, "steps.push.outputs.digest": DIGEST}))
    reference = f"registry.example/serving@{DIGEST}"
    sign, attest = result.called("cosign")
    assert sign == ["sign", "--yes", reference]
    assert attest == ["attest", "--yes", "--type", "cyclonedx", "--predicate", "sbom-serving.json", reference]
    assert (tmp_path / "digests" / "serving").read_text() == f"serving={DIGEST}\n"


COMMIT = {**BACKEND, "inputs.stack || vars.IMAGES_STACK": "aws-dev", "github.token": "t"}


@pytest.fixture
def clone(tmp_path: Path) -> Machine:
    """A machine with a clone of the project in which a step may change files, and a remote that takes its branches."""
    remote, work = tmp_path / "remote.git", tmp_path / "work"
    for command in (
        ["git", "init", "--quiet", "--bare", str(remote)],
        ["git", "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(work)],
        [
            "git",
            "-C",
            str(work),
            "sparse-checkout",
            "set",
            "delivery",
            "deploy",
            "infra",
            "kernel",
            "policies",
            "stacks",
        ],
        ["git", "-C", str(work), "checkout", "--quiet"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    for folder in ("delivery", "deploy", "infra", "kernel", "policies"):  # as they are, committed or not
        shutil.copytree(ROOT / folder, work / folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "-C", str(work), "add", "--all"], check=True, capture_output=True)
    identity = ("-c", "user.name=Test", "-c", "user.email=test@localhost")
    subprocess.run(["git", "-C", str(work), *identity, "commit", "-qm", "x", "--allow-empty"], check=True)
    (work / ".venv").symlink_to(ROOT / ".venv")
    machine = Machine(tmp_path / "machine", PROGRAMS, work)
    digests = machine.temp / "images" / "digests"
    digests.mkdir(parents=True)
    for image in ("drift", "experiment", "promotion", "serving", "training"):
        (digests / image).write_text(f"{image}={DIGEST}\n")
    return machine


def test_servings_digest_goes_to_the_overlay_by_the_platforms_command(clone: Machine) -> None:
    result = succeed(clone.run(others("serving"), COMMIT))
    (call,) = result.called("kubectl")
    assert call[2:6] == ["exec", "--namespace", "lifecycle", "deployment/promotion-worker"]
    assert call[-4:] == ["lifecycle.gitops", "set-image", "groundwork-serving", DIGEST]


def test_the_other_digests_become_one_pull_request(clone: Machine) -> None:
    remote = clone.folder.parent / "remote.git"
    (clone.workspace / ".gitignore").write_text(".venv\n")
    variables = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{remote}.insteadOf"}
    variables["GIT_CONFIG_VALUE_0"] = "https://github.com/acme/ml-platform"
    result = succeed(clone.run(others("digests"), COMMIT, **variables))
    branch = f"images/aws-dev-{'c' * 12}"
    show = ["git", "-C", str(remote), "show", "--format=", f"{branch}:stacks/Pulumi.aws-dev.yaml"]
    text = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    images = yaml.safe_load(text)["config"]["groundwork:images"]
    assert {images[name] for name in ("drift", "experiment", "promotion", "training")} == {DIGEST}
    setup, create = result.called("gh")
    assert setup == ["auth", "setup-git"]
    assert create[:4] == ["pr", "create", "--head", branch]
    again = succeed(clone.run(others("digests"), COMMIT, **variables))
    assert again.called("gh") == [], "nothing has changed, so there is nothing to propose"


def plan(machine: Machine, kind: str) -> Result:
    return machine.run(others("plan"), {**MODEL, "inputs.deployment_type": kind})


def test_a_pipelines_stages_are_outputs(machine: Machine) -> None:
    outputs = succeed(plan(machine, "deploy")).outputs
    assert outputs == {"train": "false", "images": "true", "deploy": "true", "ab_test": "false", "promote": "false"}


def test_an_unknown_kind_of_pipeline_is_one_clear_message(machine: Machine) -> None:
    result = plan(machine, "canary; rm -rf /")
    assert (result.code, result.outputs) == (1, {})
    (line,) = result.printed.splitlines()
    assert line.startswith(
        "error: deployment_type is 'canary; rm -rf /', which is no kind of pipeline: use one of full-"
    )


VERSION = {"needs.train.outputs.version || inputs.version": "3"}


def test_a_model_goes_from_training_to_its_tag(machine: Machine) -> None:
    assert succeed(machine.run(others("train"), {**MODEL, **BACKEND})).outputs == {"version": "7"}
    deployed = succeed(machine.run(others("deploy"), {**MODEL, **BACKEND, **VERSION}))
    assert deployed.printed == f"{PROMOTED}\nchurn-challenger serves version 3.\n"
    compared = succeed(machine.run(others("ab-test"), {**MODEL, **BACKEND}))
    assert "churn-forest: continue" in compared.summary
    assert any("experiments-decide-77-1" in call for call in compared.called("kubectl"))
    assert PROMOTED in succeed(machine.run(others("promote"), {**MODEL, **BACKEND, **VERSION})).printed
    tag = succeed(machine.run(others("tag"), {**MODEL, **BACKEND, **VERSION, "github.token": "t"}))
    assert tag.called("gh")[1][-3:] == ["ref=refs/tags/models/aws-dev/churn/3", "-f", f"sha={'c' * 40}"]


PAYLOAD = {
    "github.event.client_payload.stack || inputs.stack": "aws-dev",
    "github.event.client_payload.model || inputs.model": "churn",
    "github.event.client_payload.version || inputs.version": "3",
}


def test_an_event_of_the_registry_ends_in_the_workers_own_command(machine: Machine) -> None:
    event = {**PAYLOAD, **BACKEND, "github.event.client_payload.event": "delivery-1"}
    (call,) = succeed(machine.run(others("dispatch"), event)).called("kubectl")
    assert call[2:8] == ["exec", "--namespace", "lifecycle", "deployment/promotion-worker", "--", "python"]
    assert call[9:] == ["lifecycle.promotion", "promote", "churn", "3", "--keep-alias", "--event", "delivery-1"]
    (by_hand,) = succeed(machine.run(others("dispatch"), {**event, "github.event.client_payload.event": ""})).called(
        "kubectl"
    )
    assert by_hand[9:] == ["lifecycle.promotion", "promote", "churn", "3"]
    hostile = machine.run(others("dispatch"), {**event, "github.event.client_payload.model || inputs.model": "--help"})
    assert (hostile.code == 0, hostile.called("kubectl")) == (False, [])


def test_what_came_to_nothing_is_promoted_every_day(machine: Machine) -> None:
    (call,) = succeed(machine.run(others("retry"), {**BACKEND, "matrix.stack": "aws-dev"})).called("kubectl")
    assert call[-2:] == ["lifecycle.promotion", "retry"]


def test_training_is_asked_for_by_the_schedule_and_by_new_data(machine: Machine) -> None:
    (call,) = succeed(machine.run(others("schedule"), {**BACKEND, "matrix.stack": "aws-dev"})).called("kubectl")
    assert call[5:] == ["deployment/retraining", "--", "python", "-m", "lifecycle.retraining", "schedule"]
    payload = {
        f"github.event.client_payload.{name}": value for name, value in (("stack", "aws-dev"), ("model", "churn"))
    }
    event = {**payload, **BACKEND, "github.event.client_payload.id": "2026-11-30"}
    (call,) = succeed(machine.run(others("new-data"), event)).called("kubectl")
    assert call[10:] == ["new-data", "churn", "--source", "/pipelines", "--id", "2026-11-30"]


def test_the_actions_steps_set_what_the_providers_read(machine: Machine) -> None:
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
