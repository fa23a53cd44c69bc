"""Compares a stack's settings with those that it was last deployed with, before anything starts."""

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
    """What the settings would change, or that it is not known; empty where nothing would.

    Raises DeployError when that cannot be, or has to be confirmed first.
    """
    if stack.content is None:
        return ""
    resources = _export_resources(stack, engine)
    if not resources:
        return ""
    standing = find_deployed_settings(resources)
    if standing is None:
        return f"{stack.name} has no finished deployment that says what its settings were, so they are not compared."
    try:
        changes = stack_config.compare(stack.content, stack.name, standing, confirmed)
    except ValueError as error:
        raise DeployError(str(error)) from None
    return changes and f"{stack.name} stands, and its settings change:\n{changes}"


def explain_failure(stack: Stack, log: Path) -> str:
    """Which settings may be the cause of what the cloud has refused, by the engine's events; empty where none may."""
    refusals = list_refusals(read_events(log))
    causes = stack_config.explain(stack.content, stack.name, refusals) if stack.content and refusals else ""
    return causes and (
        f"What was refused depends on these settings in stacks/{stack.file.name}:\n{causes}\n"
        "Where one of them is the cause, give it another value: docs/settings.md says which it can have."
    )


def explain_protection(stack: Stack, engine: Engine) -> str:
    """Why the stack could not be destroyed; empty where nothing in it is protected."""
    remedy = (
        f"if its data may be lost, set groundwork:resilience.deletionProtection to false in stacks/{stack.file.name}, "
        f"and groundwork:resilience.retainData too if nothing is to be left; then `make up STACK={stack.name}`, and "
        "destroy it again."
    )
    return protection.explain_protection(_export_resources(stack, engine), stack.name, remedy)


def _export_resources(stack: Stack, engine: Engine) -> Sequence[Mapping[str, Any]]:
    """The resources in the stack's state; none where there is no such stack yet."""
    # An export contains secrets as they are encrypted, so it needs no passphrase.
    answer = engine.programs.ask("pulumi", "stack", "export", "--stack", stack.name, "--non-interactive")
    deployment = json.loads(answer.output).get("deployment") if answer.code == 0 else None
    resources: Sequence[Mapping[str, Any]] | None = (deployment or {}).get("resources")
    return resources or []
