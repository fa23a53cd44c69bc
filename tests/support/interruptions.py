"""Runs of `make rehearse` that are interrupted, and what they leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from tests.support.project import TIMEOUT, Project, Run, changes
from tests.support.waiting import eventually


@dataclass(frozen=True)
class InterruptedRun:
    """A run that was interrupted.

    run        its exit code and output
    processes  of its cluster at the interruption
    leftover   processes of its cluster some time later
    created    number of resources created by then, in all runs
    changed    its operations, keyed by resource
    """

    run: Run
    processes: Mapping[str, int]
    leftover: Mapping[str, int]
    created: int
    changed: Mapping[str, str]


def kill_in_preview(project: Project, stack: str) -> InterruptedRun:
    """Kill a run during its preview."""
    process = project.start_up_until(stack, (project.rehearsal(stack) / "preview-events.jsonl").exists)
    processes = project.processes(stack)
    os.kill(process.pid, signal.SIGKILL)
    # It has ended when all of its child processes have closed its output.
    return _end(project, stack, process, processes, timeout=180)


def interrupt_after(project: Project, stack: str, count: int) -> InterruptedRun:
    """Press Ctrl-C once `count` resources have been created."""
    process = project.start_up_until(stack, lambda: len(created_types(project, stack)) >= count)
    processes = project.processes(stack)
    os.killpg(process.pid, signal.SIGINT)
    return _end(project, stack, process, processes)


def kill_api_server(project: Project, stack: str) -> InterruptedRun:
    """Kill the API server once the engine has started to create objects in the cluster."""

    def is_in_cluster() -> bool:
        return any(type_.startswith("kubernetes:core") for type_ in created_types(project, stack))

    assert not is_in_cluster()
    process = project.start_up_until(stack, is_in_cluster)
    processes = project.processes(stack)
    os.kill(processes["kube-apiserver"], signal.SIGKILL)
    return _end(project, stack, process, processes)


def created_types(project: Project, stack: str) -> list[str]:
    """The types of all created resources, in order."""
    return [type_ for operation, type_, _ in project.journal(stack) if operation == "create"]


def _end(
    project: Project,
    stack: str,
    process: subprocess.Popen[str],
    processes: Mapping[str, int],
    timeout: float = TIMEOUT,
) -> InterruptedRun:
    run = project.wait(process, timeout)
    with suppress(AssertionError):  # the test asserts on the leftover processes
        eventually(lambda: not project.processes(stack), timeout=60)
    events = project.rehearsal(stack) / "up-events.jsonl"
    return InterruptedRun(
        run,
        processes,
        leftover=project.processes(stack),
        created=len(created_types(project, stack)),
        changed=changes(events) if events.exists() else {},
    )
