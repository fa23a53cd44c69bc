"""The steps that build, scan, push and sign the platform's images, and commit their digests.

docker, trivy, cosign, gh, aws, az, kubectl and pulumi are simulated, as test_steps says; `delivery` and git are real,
and the branch with the digests is pushed to a repository on this machine.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from rehearsal.toolchain import ROOT
from tests.support.workflow_cases import BACKEND, DIGEST, PROGRAMS, find, succeed
from tests.support.workflow_steps import Machine

pytestmark = pytest.mark.process

IMAGE = {"matrix.image": "serving", "vars.REGISTRY": "registry.example"}


def test_an_image_is_built_scanned_and_pushed_and_its_digest_is_the_registrys(machine: Machine) -> None:
    tag = f"registry.example/serving:{'c' * 40}"
    build = succeed(machine.run(find("build"), IMAGE))
    assert build.called("docker") == [["build", "--pull", "--file", "images/serving/Dockerfile", "--tag", tag, "."]]
    scan = succeed(machine.run(find("scan"), IMAGE))
    fails, lists = scan.called("trivy")
    assert fails[fails.index("--severity") + 1] == "HIGH,CRITICAL"
    assert fails[fails.index("--exit-code") + 1] == "1"
    assert lists == ["image", "--format", "cyclonedx", "--output", "sbom-serving.json", tag]
    push = succeed(machine.run(find("push"), IMAGE))
    assert push.called("docker")[0] == ["push", tag]
    assert push.outputs == {"digest": DIGEST}


def test_what_a_scan_finds_stops_the_image(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", {**PROGRAMS, "trivy": "exit 1"})
    assert machine.run(find("scan"), IMAGE).code == 1


def test_a_registry_gets_its_password_by_standard_input(machine: Machine) -> None:
    aws = {**IMAGE, "vars.REGISTRY": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/acme-gw-dev"}
    login = succeed(machine.run(find("login-aws"), aws))
    server = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
    assert login.called("docker") == [["login", "--username", "AWS", "--password-stdin", server]]
    azure = succeed(machine.run(find("login-azure"), {**IMAGE, "vars.REGISTRY": "acmegwdev.azurecr.io"}))
    assert azure.called("az") == [["acr", "login", "--name", "acmegwdev"]]


def test_an_image_is_signed_by_digest_with_its_sbom(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", PROGRAMS, tmp_path)
    result = succeed(machine.run(find("sign"), {**IMAGE, "steps.push.outputs.digest": DIGEST}))
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
    result = succeed(clone.run(find("serving"), COMMIT))
    (call,) = result.called("kubectl")
    assert call[2:6] == ["exec", "--namespace", "lifecycle", "deployment/promotion-worker"]
    assert call[-4:] == ["lifecycle.gitops", "set-image", "groundwork-serving", DIGEST]


def test_the_other_digests_become_one_pull_request(clone: Machine) -> None:
    remote = clone.folder.parent / "remote.git"
    (clone.workspace / ".gitignore").write_text(".venv\n")
    variables = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{remote}.insteadOf"}
    variables["GIT_CONFIG_VALUE_0"] = "https://github.com/acme/ml-platform"
    result = succeed(clone.run(find("digests"), COMMIT, **variables))
    branch = f"images/aws-dev-{'c' * 12}"
    show = ["git", "-C", str(remote), "show", "--format=", f"{branch}:stacks/Pulumi.aws-dev.yaml"]
    text = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    images = yaml.safe_load(text)["config"]["groundwork:images"]
    assert {images[name] for name in ("drift", "experiment", "promotion", "training")} == {DIGEST}
    setup, create = result.called("gh")
    assert setup == ["auth", "setup-git"]
    assert create[:4] == ["pr", "create", "--head", branch]
    again = succeed(clone.run(find("digests"), COMMIT, **variables))
    assert again.called("gh") == [], "nothing has changed, so there is nothing to propose"
