"""The steps of a deployment and of the nightly check, with the real engine and simulated clouds.

Proves that the workflows' commands deploy a new stack without a terminal, find no drift right after that, find what
somebody has removed in the cloud, and report the policies' findings as SARIF. The smoke test and backups have their own
tests; the sign-in and GitHub itself cannot be tested here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.cloud_programs import ACCOUNT, AWS
from tests.support.deployment_steps import NEW_AWS_STACK
from tests.support.deployments import Deployment, deployment
from tests.support.project import Project, Run
from tests.support.workflow_steps import find_step

pytestmark = pytest.mark.soak

STACK = "nightwatch"


def run_step(machine: Deployment, workflow: str, job: str, part: str, environment: Mapping[str, str]) -> Run:
    return machine.run(find_step(workflow, job, part).command, {"STACK": STACK, **environment})


def test_the_steps_of_a_deployment_deploy_and_the_nightly_steps_find_changes(project: Project, tmp_path: Path) -> None:
    night = {"RUNNER_TEMP": str(tmp_path)}
    with deployment(project, tmp_path / "machine", {"aws": AWS}) as machine:
        assert machine.make("new-stack", STACK, *NEW_AWS_STACK).returncode == 0
        file = project.folder / "stacks" / f"Pulumi.{STACK}.yaml"
        file.write_text(f'{file.read_text().rstrip()}\n  groundwork:account: "{ACCOUNT}"\n')

        for part in ("make preflight", "make up"):
            run = run_step(machine, "deploy-stack.yaml", "deploy", part, {})
            assert run.returncode == 0, run.output

        quiet = run_step(machine, "nightly.yaml", "stack", "make drift", night)
        assert quiet.returncode == 0, quiet.output
        audit = run_step(machine, "nightly.yaml", "stack", "make audit", night)
        assert f"{STACK}: 0 violations of policies" in audit.output
        assert json.loads((project.folder / "policies.sarif").read_text())["runs"][0]["results"] == []

        removed = next(iter(machine.state.all("aws:s3/bucketVersioning:BucketVersioning")))
        machine.state.remove(removed)
        drifted = run_step(machine, "nightly.yaml", "stack", "make drift", night).failure()
        assert "no changes were expected" in drifted
