"""aws-dev, rehearsed; it comes up in spite of all that can happen meanwhile.

Proves first that a rehearsal which is killed, interrupted, or loses its API server leaves no process behind, says what
happened, and goes on where it was: the same stack is brought up by one run after the other, of which the last passes.

Then proves of the stack that stands what test_azure proves of its own; what is real and what simulated is said there.

At last, the stack having been taken down and forgotten, it is brought up without what makes volumes. Proves that pods
which need some keep the rehearsal from passing, in the words of who refuses. Volumes that are there would stay.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import pytest

from rehearsal.helm.charts import FOLDER_VARIABLE
from rehearsal.kubernetes.control_plane import programs
from tests.support.project import TIMEOUT, Project, Run, Stack, changes
from tests.support.stack_contract import Standing, taken_down
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

AWS = "aws-dev"

# Settings of the whole account outlive a stack: that block storage is encrypted.
OUTLIVES = {"aws:ebs/encryptionByDefault:EncryptionByDefault"}


@dataclass(frozen=True)
class Ended:
    """A run that was ended before its time.

    run      how it ended, and what it said
    ran      the processes of its cluster when it was ended, and those a while later
    created  how many resources there were then
    changed  what it changed, by resource
    """

    run: Run
    ran: Mapping[str, int]
    left: Mapping[str, int]
    created: int
    changed: Mapping[str, str]


def ended(project: Project, process: subprocess.Popen[str], ran: Mapping[str, int], seconds: float = TIMEOUT) -> Ended:
    """The same once it has ended, within so many seconds; its processes get a few more."""
    run = project.finished(process, seconds)
    left: Mapping[str, int] = {}
    with suppress(AssertionError):  # what is left then is for the test to judge
        eventually(lambda: not project.processes(AWS))
    left = project.processes(AWS)
    events = project.rehearsal(AWS) / "up-events.jsonl"
    return Ended(run, ran, left, len(created(project)), changes(events) if events.exists() else {})


def created(project: Project) -> list[str]:
    """The types of all that has been created, in order."""
    return [type_ for operation, type_, _ in project.journal(AWS) if operation == "create"]


@pytest.fixture(scope="module")
def killed(control_plane: None, lasting: Project) -> Ended:  # noqa: ARG001
    """The first run, killed in its preview."""
    process = lasting.started_until(AWS, (lasting.rehearsal(AWS) / "preview-events.jsonl").exists)
    ran = lasting.processes(AWS)
    os.kill(process.pid, signal.SIGKILL)
    # It has ended when all that it started has let go of its output.
    return ended(lasting, process, ran, seconds=60)


@pytest.fixture(scope="module")
def interrupted(lasting: Project, killed: Ended) -> Ended:  # noqa: ARG001 comes first
    """The second, with Ctrl-C pressed once twenty resources are there."""
    process = lasting.started_until(AWS, lambda: len(created(lasting)) >= 20)
    ran = lasting.processes(AWS)
    os.killpg(process.pid, signal.SIGINT)
    return ended(lasting, process, ran)


@pytest.fixture(scope="module")
def bereft(lasting: Project, interrupted: Ended) -> Ended:  # noqa: ARG001
    """The third, whose API server is killed once the engine is at work in the cluster."""

    def in_cluster() -> bool:
        return any(type_.startswith("kubernetes:core") for type_ in created(lasting))

    assert not in_cluster()
    process = lasting.started_until(AWS, in_cluster)
    ran = lasting.processes(AWS)
    os.kill(ran["kube-apiserver"], signal.SIGKILL)
    return ended(lasting, process, ran)


@pytest.fixture(scope="module")
def stack(lasting: Project, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The stack, brought up by the fourth; by the only one, where there is no control plane to kill."""
    if not programs.prepare():
        request.getfixturevalue("bereft")
    standing = Stack(lasting, AWS)
    run = standing.rehearse("up")
    assert run.code == 0, run.text
    yield standing
    standing.rest()


def test_a_killed_rehearsal_leaves_no_process_and_no_lock(killed: Ended, interrupted: Ended) -> None:
    assert killed.run.code == -signal.SIGKILL
    assert set(programs.paths()) <= set(killed.ran)
    assert killed.left == {}
    assert interrupted.created >= 20, "the next run goes on"


def test_ctrl_c_in_the_middle_loses_nothing_and_the_next_run_goes_on(
    lasting: Project, interrupted: Ended, bereft: Ended
) -> None:
    assert interrupted.run.code == 130
    assert interrupted.left == {}
    assert "Traceback" not in interrupted.run.text
    assert "the same command goes on from here" in interrupted.run.text
    assert interrupted.created < 150, "it was over before it was interrupted"
    assert bereft.created > interrupted.created
    assert set(bereft.changed.values()) == {"create"}
    doubled = [outcome for operation, _, outcome in lasting.journal(AWS) if "already exists" in outcome]
    assert doubled == []


def test_an_api_server_that_is_killed_in_mid_run_ends_it(bereft: Ended) -> None:
    assert "kube-apiserver ended unexpectedly (signal 9)" in bereft.run.complaint
    assert f"The rehearsal of {AWS} failed at its up" in bereft.run.complaint
    assert bereft.left == {}


class TestAws(Standing):
    BREAKS = (
        "infra/aws/registry.py",
        'image_tag_mutability="IMMUTABLE"',
        'image_tag_mutability="MUTABLE"',
        "aws-ecr-immutable-tags",
    )


def test_at_last_destroy_takes_everything_down(stack: Stack) -> None:
    taken_down(stack, OUTLIVES)


@pytest.mark.skipif(FOLDER_VARIABLE not in os.environ, reason=f"{FOLDER_VARIABLE} names no folder with the charts")
@pytest.mark.usefixtures("control_plane")
def test_volumes_without_the_add_on_that_makes_them_stay_pending(lasting: Project) -> None:
    """The last, for it leaves a stack that does not stand."""
    assert lasting.rehearse("reset", AWS).code == 0
    lasting.edit("infra/aws/cluster.py", '"aws-ebs-csi-driver",', '"metrics-server",')
    complaint = lasting.rehearse("up", AWS).complaint
    assert "kube-prometheus-stack" in complaint
    assert 'storage class "ebs-csi-default-sc" does not exist' in complaint
    assert "Remedy: Set storageClassName" in complaint
    assert f"The rehearsal of {AWS} failed at its cluster" in complaint
