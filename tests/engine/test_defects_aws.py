"""Defects on AWS: a cluster without an add-on that its pods need, and a control plane that dies in mid-run.

As in test_defects; on a project of its own each, for what is created when is part of the defect.
"""

from __future__ import annotations

import os
import signal
import time

import pytest

from rehearsal.charts import VARIABLE
from tests.engine.project import TIMEOUT, Project

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no folder with the charts' packages"),
]

AWS = "aws-dev"


@pytest.fixture
def aws(control_plane: None, project: Project) -> Project:  # noqa: ARG001
    return project


def test_volumes_without_the_add_on_that_makes_them_stay_pending(aws: Project) -> None:
    aws.edit("infra/aws/cluster.py", '"aws-ebs-csi-driver",', '"metrics-server",')
    complaint = aws.rehearse("up", AWS).complaint
    assert "kube-prometheus-stack" in complaint
    assert 'storage class "ebs-csi-default-sc" does not exist' in complaint
    assert "Remedy: Set storageClassName" in complaint


def _api_server(project: Project) -> int:
    """The API server's process, once the engine is at work in the cluster."""
    deadline = time.monotonic() + TIMEOUT
    while not any(type_.startswith("kubernetes:core") for _, type_, _ in project.journal(AWS)):
        assert time.monotonic() < deadline, "nothing was created in the cluster"
        time.sleep(0.2)
    return project.processes(AWS)["kube-apiserver"]


def test_an_api_server_that_is_killed_in_mid_run_ends_it_and_the_next_run_goes_on(aws: Project) -> None:
    process = aws.start("up", AWS)
    os.kill(_api_server(aws), signal.SIGKILL)
    text, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode != 0
    assert "Traceback" not in text
    assert "kube-apiserver ended in mid-run (signal 9)" in text
    again = aws.rehearse("up", AWS)
    assert again.code == 0, again.text
