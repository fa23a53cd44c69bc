"""Production stacks that lose a zone, in a cluster with simulated clouds.

Proves with the real scheduler, controllers and eviction API that budgets allow each zone to be drained, and that all
pods run again on the remaining nodes, except pods with a volume in the zone, of which another replica has to run. Does
not prove that the simulated processes in the pods survive it, nor that a cloud's own services do.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from rehearsal.helm.charts import FOLDER_VARIABLE
from rehearsal.kubernetes.client import ApiClient, ClientConfig
from tests.support.project import Project
from tests.support.waiting import eventually
from tests.support.zone_loss import ZONE_LABEL, ZoneLoss, find_stateful_siblings, is_running

pytestmark = pytest.mark.soak

_TIMEOUT = 180.0  # seconds for draining, and for pods to run again


@pytest.mark.skipif(
    FOLDER_VARIABLE not in os.environ, reason=f"{FOLDER_VARIABLE} does not name a folder with the charts"
)
@pytest.mark.usefixtures("control_plane")
@pytest.mark.parametrize("stack", ["azure-prod", "aws-prod"])
def test_the_platform_survives_the_loss_of_any_zone(project: Project, stack: str) -> None:
    brought_up = project.rehearse("up", stack)
    assert brought_up.returncode == 0, brought_up.output
    exports = project.serve(stack)
    try:
        api = connect(exports)
        eventually(lambda: all_run(api), _TIMEOUT)
        for zone in sorted({node["metadata"]["labels"][ZONE_LABEL] for node in api.list("v1", "Node")}):
            lose_zone(api, zone)
    finally:
        stopped = project.rehearse("stop", stack)
        assert stopped.returncode == 0, stopped.output


def connect(exports: str) -> ApiClient:
    """A client of the cluster that a shell with these exports reaches."""
    (path,) = re.findall(r"KUBECONFIG=(\S+)", exports)
    return ApiClient(ClientConfig.from_kubeconfig(Path(path.strip("'\"")).read_text()))


def all_run(api: ApiClient) -> bool:
    return all(is_running(pod) or pod["status"].get("phase") == "Succeeded" for pod in api.list("v1", "Pod"))


def lose_zone(api: ApiClient, zone: str) -> None:
    loss = ZoneLoss(api, zone)
    with loss.drained(_TIMEOUT):
        eventually(lambda: list_waiting(api) <= list_bound(loss), _TIMEOUT)
        # If a pod waits for its volume, another replica must run.
        single = [
            pod["metadata"]["name"]
            for pod in loss.list_bound_pods()
            if not any(is_running(sibling) for sibling in find_stateful_siblings(api, pod))
        ]
        assert single == [], f"single replicas whose volume is in {zone}"
    eventually(lambda: all_run(api), _TIMEOUT)


def list_waiting(api: ApiClient) -> set[str]:
    """The pods that are not running."""
    return {
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        for pod in api.list("v1", "Pod")
        if not is_running(pod) and pod["status"].get("phase") != "Succeeded"
    }


def list_bound(loss: ZoneLoss) -> set[str]:
    return {f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in loss.list_bound_pods()}
