"""The road from a new stack to its end, by the commands for real clouds, as tests walk it on one cloud or the other."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from tests.support.deployments import Deployment
from tests.support.project import Run

STACK = "research"
# Arguments of `make new-stack`.
_OF_BOTH = ("ENVIRONMENT=dev", "ORGANIZATION=acme", "OWNER=ml", "AUTHORIZED_RANGES=192.88.99.0/24")
NEW_AWS_STACK = ("CLOUD=aws", "LOCATION=eu-west-1", *_OF_BOTH)
NEW_AZURE_STACK = ("CLOUD=azure", "LOCATION=westeurope", *_OF_BOTH)


def walk_to_the_deployment(machine: Deployment, new_stack: Collection[str], pin: str) -> None:
    """New stack, preflight, preview, and a deployment that nobody has agreed to.

    new_stack  arguments of `make new-stack`
    pin        lines of the stack's file that pin it to the simulated account
    """
    _succeed(machine.make("new-stack", STACK, *new_stack))
    file = machine.project.folder / "stacks" / f"Pulumi.{STACK}.yaml"
    file.write_text(f"{file.read_text().rstrip()}\n{pin}")

    _check_preflight(machine, file)
    _check_preview(machine, file)

    assert "YES=1" in machine.make("up", STACK).failure()
    assert machine.state.all() == []


def walk_to_the_end(machine: Deployment, remaining: Collection[str]) -> None:
    """Deployment, one change, destruction.

    remaining  types of what outlives the stack
    """
    first = _succeed(machine.make("up", STACK, "YES=1"))
    created = _count(first, "created")
    assert created > 150
    assert f"Selected stack '{STACK}'." in first

    machine.project.set(STACK, database={"backupDays": 9})
    changed = _succeed(machine.make("up", STACK, "YES=1"))
    assert (_count(changed, "updated"), _count(changed, "unchanged")) == (1, created - 1)
    assert not any(_count(changed, word) for word in ("created", "replaced", "deleted"))

    _succeed(machine.make("destroy", STACK, "YES=1"))
    assert {record.type for record in machine.state.all()} == set(remaining)


def _check_preflight(machine: Deployment, file: Path) -> None:
    """It finds everything, and leaves the backend and the stack's file alone."""
    before = file.read_text()
    report = _succeed(machine.make("preflight", STACK))
    assert f"Everything that {STACK} needs is present." in report
    assert "is not in the backend yet" in report
    assert "PULUMI_DEBUG_PROVIDERS attaches the engine" in report, "what is simulated is named"
    assert file.read_text() == before


def _check_preview(machine: Deployment, file: Path) -> None:
    """It creates the stack in the backend, whose passphrase then has to be the same ever after."""
    preview = _succeed(machine.make("preview", STACK))
    assert f"Stack '{STACK}' is new in the backend. Commit {file.name}" in preview
    assert "encryptionsalt:" in file.read_text()
    assert machine.state.all() == []
    wrong = machine.make("preview", STACK, PULUMI_CONFIG_PASSPHRASE="wrong").failure()
    assert f"secrets of '{STACK}' cannot be encrypted: incorrect passphrase" in wrong


def _succeed(run: Run) -> str:
    assert run.returncode == 0, run.output
    return run.output


def _count(output: str, word: str) -> int:
    """The number of resources in the last summary of a run: `12 created`."""
    found = re.findall(rf"(\d+) {word}", output)
    return int(found[-1]) if found else 0
