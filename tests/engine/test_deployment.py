"""The creation and deployment of a new stack with the commands for real clouds, on AWS.

Proves, with simulated clouds in place of the real ones, that the commands work: their questions and reports, the stack
in the backend, exit codes without a terminal. A deployment, a change and the destruction on both clouds are tested in
tests/soak. The responses of real clouds cannot be tested here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cloud_programs import ACCOUNT, AWS
from tests.support.deployment_steps import NEW_AWS_STACK, prepare_deployment
from tests.support.deployments import deployment
from tests.support.project import Project

pytestmark = pytest.mark.engine


def test_a_new_stack_on_aws_can_be_deployed(project: Project, tmp_path: Path) -> None:
    with deployment(project, tmp_path / "machine", {"aws": AWS}) as machine:
        prepare_deployment(machine, NEW_AWS_STACK, f'  groundwork:account: "{ACCOUNT}"\n')
