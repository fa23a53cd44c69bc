"""A stack from its creation to its destruction, with the commands for real clouds, for tests on either cloud."""

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


def prepare_deployment(machine: Deployment, new_stack: Collection[str], pin: str) -> None:
    """Create a stack, run preflight and preview, and attempt a deployment without confirmation.

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


def deploy_change_and_destroy(machine: Deployment, remaining: Collection[str]) -> None:
    """Deploy the stack, change it once, and destroy it.

    remaining  types of the resources that remain after the stack is destroyed
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
    """Check that preflight finds everything, and changes neither the backend nor the stack's file."""
    before = file.read_text()
    report = _succeed(machine.make("preflight", STACK))
    assert f"Everything that {STACK} needs is present." in report
    assert "is not in the backend yet" in report
    assert "PULUMI_DEBUG_PROVIDERS attaches the engine" in report, "the report names what is simulated"
    assert file.read_text() == before


def _check_preview(machine: Deployment, file: Path) -> None:
    """Check that a preview creates the stack in the backend, and that its passphrase cannot change afterwards."""
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
