"""The road from a new stack to its deployment, by the commands for real clouds, on AWS.

Proves, with simulated clouds in the place of the real ones, that the commands lead there: what is asked and reported,
the stack in the backend, exit codes without a terminal. The deployment, a change and the end, on both clouds, are in
tests/soak. What real clouds answer, nothing here can tell.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cloud_programs import ACCOUNT, AWS
from tests.support.deployment_road import NEW_AWS_STACK, walk_to_the_deployment
from tests.support.deployments import deployment
from tests.support.project import Project

pytestmark = pytest.mark.engine


def test_the_road_on_aws_is_open_from_a_new_stack_to_its_deployment(project: Project, tmp_path: Path) -> None:
    with deployment(project, tmp_path / "machine", {"aws": AWS}) as machine:
        walk_to_the_deployment(machine, NEW_AWS_STACK, f'  groundwork:account: "{ACCOUNT}"\n')
