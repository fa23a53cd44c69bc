"""azure-dev, rehearsed: the real engine runs the real program under the real policies against simulated clouds.

Proves that the stack is deployed, that nothing changes without an edit, that an edit changes only what it should, that
invalid settings stop the engine, that a policy violation stops a preview, that pods that could not start fail an update
with the scheduler's or the kubelet's reason, that no secret is in plain text, and that everything can be destroyed,
even after a failed update. tests/soak has defects that only appear in the cluster.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from rehearsal.helm.charts import FOLDER_VARIABLE
from tests.support.project import Stack
from tests.support.rehearsed_stacks import RehearsedStacks
from tests.support.stack_contract import (
    CREATED_BY_AZURE,
    REMAINING_ON_AZURE,
    ServedStackContract,
    assert_destroyed,
    assert_no_secret_in_plain_text,
)

pytestmark = pytest.mark.engine

AZURE = "azure-dev"
MLFLOW = "infra/cluster/mlflow.py"
# Edits of the program, and parts of the message about each.
DEFECTS = (
    (
        (
            MLFLOW,
            '"limits": {"cpu": "1", "memory": "2Gi"}',
            '"limits": {"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": "1"}',
        ),
        [
            *("Deployment mlflow/mlflow", "Insufficient nvidia.com/gpu"),
            *("Set groundwork:cluster.gpuPool.size", "rolled back"),
        ],
    ),
    (
        (
            MLFLOW,
            '"existingDatabaseSecret": {"name": _DATABASE_SECRET}',
            '"existingDatabaseSecret": {"name": "mlflow-db"}',
        ),
        ["Deployment mlflow/mlflow", 'secret "mlflow-db" not found', "Remedy: "],
    ),
)


@pytest.fixture(scope="module")
def stack(rehearsed_stacks: RehearsedStacks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """azure-dev as it was brought up in a fresh copy of the project."""
    copy = rehearsed_stacks.copy(AZURE, tmp_path_factory.mktemp("project"))
    yield copy
    copy.stop_serving()


# The rehearsal's commands end the clouds that are served in the background, so they are run first and last.
def test_a_change_of_a_fixed_setting_is_rejected_before_anything_starts(stack: Stack) -> None:
    """It is compared with the deployed stack: the program exported its settings to the rehearsal's backend."""
    before = stack.journal()
    with stack.project.edited(f"stacks/Pulumi.{AZURE}.yaml", "westeurope", "northeurope"):
        output = stack.project.rehearse("up", AZURE).failure()
    assert "groundwork:location 'westeurope' -> 'northeurope'" in output
    assert "Remedy: set it back to 'westeurope'" in output
    assert "Rehearsing" not in output
    assert stack.journal() == before


class TestAzure(ServedStackContract):
    POLICY_BREAK = (
        "infra/azure/registry.py",
        'public_network_access="Disabled"',
        'public_network_access="Enabled"',
        "azure-acr-public-network",
    )
    CHANGED_BY_MAXIMUM = ("cluster-user", "alerts-stack", "alerts-node-pool-at-maximum-user")


def test_invalid_settings_stop_the_engine_before_anything_is_changed(stack: Stack) -> None:
    before = stack.journal()
    wrong = "groundwork:colud: azure\n  groundwork:costCenter"  # in place of a required setting
    with stack.project.edited(f"stacks/Pulumi.{AZURE}.yaml", "groundwork:owner", wrong):
        output = stack.pulumi("up", "--yes").failure()
    words = ["colud is not a setting", "groundwork:owner is not set", "Remedy: "]
    assert [each for each in words if each not in output] == []
    assert stack.journal() == before


@pytest.mark.skipif(
    FOLDER_VARIABLE not in os.environ, reason=f"{FOLDER_VARIABLE} does not name a folder with the charts"
)
@pytest.mark.usefixtures("control_plane")
def test_pods_that_would_not_start_fail_the_update_and_each_reason_is_named(stack: Stack) -> None:
    with ExitStack() as edits:
        for edit, _ in DEFECTS:
            edits.enter_context(stack.project.edited(*edit))
        output = stack.pulumi("up", "--yes", "--skip-preview", "--policy-pack", "policies").failure()
    for _, words in DEFECTS:
        assert [each for each in words if each not in output] == []


def test_no_operation_has_left_a_secret_in_plain_text(stack: Stack) -> None:
    assert_no_secret_in_plain_text(stack)


def test_destroy_deletes_all_resources(stack: Stack) -> None:
    assert_destroyed(stack, REMAINING_ON_AZURE, CREATED_BY_AZURE)
