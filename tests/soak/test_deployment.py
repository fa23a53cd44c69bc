"""The road from a new stack to its end on Azure; tests/engine/test_deployment.py says what such a test proves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.azure_manager_server import SUBSCRIPTION, TENANT, serve_manager, subscription_answers
from tests.support.cloud_programs import azure_programs
from tests.support.deployment_road import walk_to_the_end
from tests.support.deployments import deployment
from tests.support.project import Project

pytestmark = pytest.mark.soak

NEW_STACK = (
    "CLOUD=azure",
    "ENVIRONMENT=dev",
    "LOCATION=westeurope",
    "ORGANIZATION=acme",
    "OWNER=ml",
    "AUTHORIZED_RANGES=192.88.99.0/24",
)
PIN = f"  groundwork:subscription: {SUBSCRIPTION}\n  groundwork:tenant: {TENANT}\n"


def test_the_road_on_azure_is_open_from_a_new_stack_to_its_end(project: Project, tmp_path: Path) -> None:
    with (
        serve_manager(subscription_answers()) as manager,
        deployment(project, tmp_path / "machine", azure_programs(manager)) as machine,
    ):
        walk_to_the_end(
            machine, NEW_STACK, PIN, remaining={"azure-native:keyvault:Key", "azure-native:keyvault:Secret"}
        )
