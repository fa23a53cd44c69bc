"""The road from a new stack to its end, by the commands for real clouds; on AWS, and on Azure in tests/soak.

Proves, with simulated clouds in the place of the real ones, that the commands lead there: what is asked and reported,
the stack in the backend, exit codes without a terminal. What real clouds answer, nothing here can tell.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cloud_programs import ACCOUNT, AWS
from tests.support.deployment_road import walk_to_the_end
from tests.support.deployments import deployment
from tests.support.project import Project

pytestmark = pytest.mark.engine

NEW_STACK = (
    "CLOUD=aws",
    "ENVIRONMENT=dev",
    "LOCATION=eu-west-1",
    "ORGANIZATION=acme",
    "OWNER=ml",
    "AUTHORIZED_RANGES=192.88.99.0/24",
)


def test_the_road_on_aws_is_open_from_a_new_stack_to_its_end(project: Project, tmp_path: Path) -> None:
    with deployment(project, tmp_path / "machine", {"aws": AWS}) as machine:
        walk_to_the_end(machine, NEW_STACK, f'  groundwork:account: "{ACCOUNT}"\n', remaining=())
