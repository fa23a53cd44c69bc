"""The command and environment of a container's process, and the report of its end, without a cluster.

The supervisor is a stub that records its calls. Real processes run in tests/cluster/test_processes_of_pods.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from rehearsal.kubernetes.control_plane.process_supervisor import ProcessSupervisor
from rehearsal.scenarios.container_process import ContainerProcess, ImageProgram


@dataclass
class Supervisor:
    code: int | None = None
    started: list[tuple[Sequence[str], Mapping[str, str]]] = field(default_factory=list)

    def start(self, _: str, command: Sequence[str], __: Path, environment: Mapping[str, str], **___: bool) -> None:
        self.started.append((command, environment))

    def exit_code(self, _: str) -> int | None:
        return self.code


@pytest.fixture
def supervisor() -> Supervisor:
    return Supervisor()


def create(supervisor: Supervisor, folder: Path, **container: Any) -> ContainerProcess:
    program = ImageProgram(["run"], {"COLOUR": "blue"})
    manifest = {"name": "main", "image": "toy", "ports": [{"containerPort": 8000}], **container}
    log = folder / "log"
    return ContainerProcess(
        cast("ProcessSupervisor", supervisor), "pod", manifest, program, {"data": folder / "data"}, log, folder
    )


def start(supervisor: Supervisor, folder: Path, **container: Any) -> tuple[Sequence[str], Mapping[str, str]]:
    create(supervisor, folder, **container).start()
    return supervisor.started[-1]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("$(FIRST).csv", "churn.csv"),
        ("remote:$(FIRST)/$(FIRST)", "remote:churn/churn"),
        ("$(LAST)", "$(LAST)"),
        ("$$(FIRST)", "$(FIRST)"),
        ("$FIRST", "$FIRST"),
        ("/var/data/file", "{folder}/data/file"),
        ("/var/database", "/var/database"),
    ],
)
def test_variables_and_mounted_paths_are_replaced(
    supervisor: Supervisor, tmp_path: Path, value: str, expected: str
) -> None:
    variables = [("FIRST", "churn"), ("SECOND", value), ("LAST", "x")]
    _, environment = start(
        supervisor,
        tmp_path,
        env=[{"name": name, "value": text} for name, text in variables],
        volumeMounts=[{"name": "data", "mountPath": "/var/data"}],
    )
    assert environment["SECOND"] == expected.format(folder=tmp_path)


def test_it_listens_on_its_own_port_of_this_machine(supervisor: Supervisor, tmp_path: Path) -> None:
    variables = {"A_HOST": "0.0.0.0", "A_PORT": "8000", "OTHER_PORT": "9000", "ROWS": "8000", "COLOUR": "red"}  # noqa: S104
    _, environment = start(
        supervisor, tmp_path, env=[{"name": name, "value": value} for name, value in variables.items()]
    )
    assert environment["A_HOST"] == environment["HOST"] == "127.0.0.1"
    assert environment["A_PORT"] == environment["PORT"] != "8000"
    assert (environment["OTHER_PORT"], environment["ROWS"]) == ("9000", "8000")
    assert environment["COLOUR"] == "blue", "the program's own environment takes precedence"


@pytest.mark.parametrize(
    ("policy", "code", "has_ended"),
    [("Always", 0, False), ("OnFailure", 0, True), ("OnFailure", 1, False), ("Never", 1, True), ("Never", None, False)],
)
def test_a_process_ends_according_to_its_pods_policy(
    supervisor: Supervisor, tmp_path: Path, policy: str, code: int | None, has_ended: bool
) -> None:
    process = create(supervisor, tmp_path)
    supervisor.code = code
    assert process.has_ended(policy) == has_ended


def test_a_process_that_a_signal_ended_has_the_same_code_as_in_a_container(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.code = -9
    assert create(supervisor, tmp_path).exit_code == 137


def test_its_message_is_the_termination_message_or_the_end_of_its_log(supervisor: Supervisor, tmp_path: Path) -> None:
    process = create(
        supervisor,
        tmp_path,
        args=["--report", "/dev/termination-log"],
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="FallbackToLogsOnError",
    )
    process.start()
    supervisor.code = 1
    (tmp_path / "log").write_text("x" * 3000 + "out of memory")
    assert process.read_message().endswith("xout of memory")
    assert len(process.read_message()) == 2048
    (_, _, report), _ = supervisor.started[-1]
    Path(report).write_text("it was the gate" + "." * 5000)
    assert process.read_message().startswith("it was the gate")
    assert len(process.read_message()) == 4096
