"""The steps of the workflows under names for tests, and programs that replace those that cannot run here.

Each program records its arguments (tests/support/workflow_steps.py) and prints the output of the real one. Proves
nothing by itself.
"""

from __future__ import annotations

import shutil

from tests.support.workflow_steps import Result, Step, find_step

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
*"lifecycle.promotion retry"*) echo "No challenger is waiting to be promoted." ;;
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
    "pulumi": """
case "$*" in
"stack output registry"*) echo acmegwdev.azurecr.io ;;
*) echo "kind: Config" ;;
esac
""",
    "kubectl": KUBECTL,
    "docker": f"""
case "$1 $2" in
"image inspect") printf '%s@%s\\n' elsewhere/serving sha256:0 "$NAME" {DIGEST} ;;
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

# Steps that call one target of the Makefile: workflow, job, and the arguments of `make`.
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
    ("backup.yaml", "stacks", ["setup"]),
    ("backup.yaml", "stack", ["backup"]),
    ("nightly.yaml", "stack", ["restore-test"]),
    ("mlops-pipeline.yaml", "plan", ["setup"]),
    ("mlops-pipeline.yaml", "deploy", ["smoke-test"]),
    ("deploy-on-model-promotion.yml", "stacks", ["setup"]),
    ("continuous-training.yaml", "stacks", ["setup"]),
]
# All other steps: the name that tests use, and workflow, job and a part of the command.
OTHERS = {
    "changed": ("pull-request.yaml", "stacks", "make changed-stacks"),
    "report": ("pull-request.yaml", "rehearse", "make report"),
    "comment": ("pull-request-comment.yaml", "comment", "delivery comment"),
    "order": ("deploy.yaml", "order", "delivery environments"),
    "notify": ("notify.yaml", "notify", "delivery notify"),
    "backup-list": ("backup.yaml", "stacks", "delivery environments"),
    "nightly-list": ("nightly.yaml", "stacks", "delivery environments"),
    "drift": ("nightly.yaml", "stack", "make drift"),
    "audit": ("nightly.yaml", "stack", "make audit"),
    "build": ("images.yaml", "build", "publish-image build"),
    "scan": ("images.yaml", "build", "publish-image scan"),
    "login-aws": ("images.yaml", "build", "get-login-password"),
    "login-azure": ("images.yaml", "build", "az acr login"),
    "push": ("images.yaml", "build", "publish-image push"),
    "sign": ("images.yaml", "build", "publish-image sign"),
    "serving": ("images.yaml", "commit", "set-serving-image"),
    "digests": ("images.yaml", "commit", "commit-digests"),
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


def find(name: str) -> Step:
    return find_step(*OTHERS[name])


def find_target(workflow: str, job: str, arguments: list[str]) -> Step:
    return find_step(workflow, job, f"make {' '.join(arguments)}")


def succeed(result: Result) -> Result:
    assert result.code == 0, result.printed
    return result
