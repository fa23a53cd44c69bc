"""Compares a stack's settings with those of its last deployment, before anything starts."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.engine import Engine
from deploy.errors import DeployError
from deploy.stack import Stack
from infra.core import stack_config
from kernel import protection
from kernel.deployed_settings import find_deployed_settings
from kernel.engine_events import list_refusals, read_events


def describe(stack: Stack, engine: Engine, confirmed: Collection[str]) -> str:
    """What the changed settings do, or that this is not known; empty if no setting has changed.

    Raises DeployError if a change is not possible, or has to be confirmed first.
    """
    if stack.content is None:
        return ""
    resources = _export_resources(stack, engine)
    if not resources:
        return ""
    deployed = find_deployed_settings(resources)
    if deployed is None:
        return f"{stack.name} has no finished deployment that records its settings, so they are not compared."
    try:
        changes = stack_config.compare(stack.content, stack.name, deployed, confirmed)
    except ValueError as error:
        raise DeployError(str(error)) from None
    return changes and f"{stack.name} is deployed, and its settings change:\n{changes}"


def explain_failure(stack: Stack, log: Path) -> str:
    """The settings that may have caused what the cloud refused, from the engine's events; empty if there are none."""
    refusals = list_refusals(read_events(log))
    causes = stack_config.explain(stack.content, stack.name, refusals) if stack.content and refusals else ""
    return causes and (
        f"What was refused depends on these settings in stacks/{stack.file.name}:\n{causes}\n"
        "If one of them is the cause, set it to another value: docs/settings.md lists the valid ones."
    )


def explain_protection(stack: Stack, engine: Engine) -> str:
    """Why the stack could not be destroyed; empty if nothing in it is protected."""
    remedy = (
        f"if its data may be lost, set groundwork:resilience.deletionProtection to false in stacks/{stack.file.name}, "
        f"and groundwork:resilience.retainData too if nothing is to be left; then `make up STACK={stack.name}`, and "
        "destroy it again."
    )
    return protection.explain_protection(_export_resources(stack, engine), stack.name, remedy)


def _export_resources(stack: Stack, engine: Engine) -> Sequence[Mapping[str, Any]]:
    """The resources in the stack's state; empty if the stack does not exist yet."""
    # An export contains secrets as they are encrypted, so it needs no passphrase.
    answer = engine.programs.ask("pulumi", "stack", "export", "--stack", stack.name, "--non-interactive")
    deployment = json.loads(answer.output).get("deployment") if answer.code == 0 else None
    resources: Sequence[Mapping[str, Any]] | None = (deployment or {}).get("resources")
    return resources or []
