"""A stack on both clouds, from its creation to its destruction; see tests/engine/test_deployment.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.azure_manager_server import SUBSCRIPTION, TENANT, serve_manager, subscription_answers
from tests.support.cloud_programs import ACCOUNT, AWS, azure_programs
from tests.support.deployment_steps import NEW_AWS_STACK, NEW_AZURE_STACK, deploy_change_and_destroy, prepare_deployment
from tests.support.deployments import deployment
from tests.support.project import Project
from tests.support.stack_contract import CREATED_BY_AZURE, REMAINING_ON_AZURE

pytestmark = pytest.mark.soak

AWS_PIN = f'  groundwork:account: "{ACCOUNT}"\n'
AZURE_PIN = f"  groundwork:subscription: {SUBSCRIPTION}\n  groundwork:tenant: {TENANT}\n"


def test_a_new_stack_on_aws_is_deployed_changed_and_destroyed(project: Project, tmp_path: Path) -> None:
    with deployment(project, tmp_path / "machine", {"aws": AWS}) as machine:
        prepare_deployment(machine, NEW_AWS_STACK, AWS_PIN)
        deploy_change_and_destroy(machine, remaining=())


def test_a_new_stack_on_azure_is_deployed_changed_and_destroyed(project: Project, tmp_path: Path) -> None:
    with (
        serve_manager(subscription_answers()) as manager,
        deployment(project, tmp_path / "machine", azure_programs(manager)) as machine,
    ):
        prepare_deployment(machine, NEW_AZURE_STACK, AZURE_PIN)
        deploy_change_and_destroy(machine, remaining=REMAINING_ON_AZURE | CREATED_BY_AZURE)
