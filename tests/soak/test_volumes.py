"""aws-dev without the add-on that provisions volumes.

Proves that pods that need volumes fail the rehearsal, with the message of the provisioner. The stack is brought up from
nothing, because existing volumes would remain.
"""

from __future__ import annotations

import os

import pytest

from rehearsal.helm.charts import FOLDER_VARIABLE
from tests.support.project import Project

pytestmark = pytest.mark.soak

AWS = "aws-dev"


@pytest.mark.skipif(
    FOLDER_VARIABLE not in os.environ, reason=f"{FOLDER_VARIABLE} does not name a folder with the charts"
)
@pytest.mark.usefixtures("control_plane")
def test_volumes_without_their_add_on_stay_pending(project: Project) -> None:
    project.edit("infra/aws/cluster.py", '"aws-ebs-csi-driver",', '"snapshot-controller",')
    output = project.rehearse("up", AWS).failure()
    assert "kube-prometheus-stack" in output
    assert "created either by the external provisioner 'ebs.csi.aws.com'" in output
    assert "Remedy: The CSI driver ebs.csi.aws.com is not installed" in output
    assert f"The rehearsal of {AWS} failed at its cluster" in output
