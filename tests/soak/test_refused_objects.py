"""Values and manifests of azure-dev that are rejected at once while it is up.

Proves that the engine ends with the message of the chart's schema or of the API server. What they reject is tested in
tests/unit/rehearsal/simulator and tests/cluster. test_defects.py has defects that only appear in the cluster.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rehearsal.helm.charts import FOLDER_VARIABLE
from tests.support.project import Stack
from tests.support.rehearsed_stacks import RehearsedStacks

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(
        FOLDER_VARIABLE not in os.environ, reason=f"{FOLDER_VARIABLE} does not name a folder with the charts"
    ),
]


@pytest.fixture(scope="module")
def stack(rehearsed_stacks: RehearsedStacks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """azure-dev as it was brought up in a fresh copy of the project."""
    copy = rehearsed_stacks.copy("azure-dev", tmp_path_factory.mktemp("project"))
    yield copy
    copy.stop_serving()


def test_a_preview_with_values_that_a_chart_rejects_fails(stack: Stack) -> None:
    # A first preview rejects nothing: the engine does not call a provider whose kubeconfig is not known yet.
    old, new = '"replicaCount": replicas,', '"replicaCount": "one",'
    with stack.project.edited("infra/cluster/mlflow.py", old, new):
        preview = stack.pulumi("preview")
    assert preview.returncode != 0
    assert "replicaCount: 'one' is not of type 'integer'" in preview.output


@pytest.mark.usefixtures("control_plane")
def test_a_manifest_that_the_api_server_rejects_fails(stack: Stack) -> None:
    with stack.project.edited("infra/cluster/namespaces.py", '"pods": str(profile.pods)', '"pods": "many"'):
        output = stack.pulumi("up", "--yes", "--skip-preview").failure()
    assert "-quota" in output
    assert "quantities must match the regular expression" in output
