"""The steps that build, scan, push and sign the platform's images, and commit their digests.

docker, trivy, cosign, gh, aws, az, kubectl and pulumi are simulated, as test_steps says; `delivery` and git are real,
and the branch with the digests is pushed to a repository on this machine.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal.toolchain import ROOT
from tests.support.workflow_cases import BACKEND, DIGEST, PROGRAMS, find, succeed
from tests.support.workflow_clones import clone_project, find_remote, read_pushed_images, write_digests
from tests.support.workflow_steps import COMMIT, Machine

pytestmark = pytest.mark.process

IMAGE = {"matrix.image": "serving", "vars.REGISTRY": "registry.example", "github.sha": COMMIT}
NAME = "registry.example/serving"


@pytest.fixture
def checkout(tmp_path: Path) -> Machine:
    """A machine with a folder for the built images' files."""
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    return Machine(tmp_path / "machine", PROGRAMS, tmp_path)


def test_an_image_goes_from_its_source_to_a_signature_of_its_digest_with_its_sbom(checkout: Machine) -> None:
    tag, reference, sbom = f"{NAME}:{COMMIT}", f"{NAME}@{DIGEST}", "built/sbom-serving.json"
    build = succeed(checkout.run(find("build"), IMAGE))
    dockerfile = "platform/lifecycle/images/serving/Dockerfile"
    assert build.called("docker") == [["build", "--pull", "--file", dockerfile, "--tag", tag, "platform/lifecycle"]]
    scan = succeed(checkout.run(find("scan"), IMAGE))
    fails, lists = scan.called("trivy")
    assert fails[fails.index("--severity") + 1] == "HIGH,CRITICAL"
    assert fails[fails.index("--exit-code") + 1] == "1"
    assert lists == ["image", "--format", "cyclonedx", "--output", sbom, tag]
    push = succeed(checkout.run(find("push"), IMAGE))
    assert push.called("docker")[0] == ["push", tag]
    assert (checkout.workspace / "built" / "digests" / "serving").read_text() == f"serving={DIGEST}\n"
    sign, attest = succeed(checkout.run(find("sign"), IMAGE)).called("cosign")
    assert sign == ["sign", "--yes", reference]
    assert attest == ["attest", "--yes", "--type", "cyclonedx", "--predicate", sbom, reference]


def test_a_finding_of_a_scan_stops_the_image(tmp_path: Path) -> None:
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    machine = Machine(tmp_path / "machine", {**PROGRAMS, "trivy": "exit 1"}, tmp_path)
    assert machine.run(find("scan"), IMAGE).code == 1


def test_a_registry_receives_its_password_on_standard_input(machine: Machine) -> None:
    aws = {**IMAGE, "vars.REGISTRY": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/acme-gw-dev"}
    login = succeed(machine.run(find("login-aws"), aws))
    server = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
    assert login.called("docker") == [["login", "--username", "AWS", "--password-stdin", server]]
    azure = succeed(machine.run(find("login-azure"), {**IMAGE, "vars.REGISTRY": "acmegwdev.azurecr.io"}))
    assert azure.called("az") == [["acr", "login", "--name", "acmegwdev"]]


DIGESTS = {**BACKEND, "inputs.stack || vars.IMAGES_STACK": "aws-dev", "github.token": "t"}


@pytest.fixture
def clone(tmp_path: Path) -> Machine:
    """A machine with a clone of the project in which a step may change files, and the digests of all images."""
    machine = Machine(tmp_path / "machine", PROGRAMS, clone_project(tmp_path))
    write_digests(lambda _: machine.temp / "images" / "digests")
    return machine


def test_the_digest_of_serving_is_written_to_the_overlay_by_the_platforms_command(clone: Machine) -> None:
    result = succeed(clone.run(find("serving"), DIGESTS))
    (call,) = result.called("kubectl")
    assert call[2:6] == ["exec", "--namespace", "lifecycle", "deployment/promotion-worker"]
    assert call[-4:] == ["lifecycle.gitops", "set-image", "groundwork-serving", DIGEST]


def test_the_other_digests_become_one_pull_request(clone: Machine) -> None:
    remote = find_remote(clone.workspace)
    variables = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{remote}.insteadOf"}
    variables["GIT_CONFIG_VALUE_0"] = "https://github.com/acme/ml-platform"
    result = succeed(clone.run(find("digests"), DIGESTS, **variables))
    branch = f"images/aws-dev-{'c' * 12}"
    images = read_pushed_images(remote, branch, "aws-dev")
    assert {images[name] for name in ("drift", "experiment", "promotion", "training")} == {DIGEST}
    setup, create = result.called("gh")
    assert setup == ["auth", "setup-git"]
    assert create[:4] == ["pr", "create", "--head", branch]
    again = succeed(clone.run(find("digests"), DIGESTS, **variables))
    assert again.called("gh") == [], "nothing has changed, so there is nothing to propose"
