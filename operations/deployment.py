"""A deployment to an environment: preflight, update, health and smoke test, each only if the previous one passed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from deploy import commands, preflight
from deploy.errors import DeployError
from deploy.findings import Finding, list_missing, render
from deploy.stack import Stack, read_stack
from kernel.stack_names import list_stacks
from operations import health, smoke_test
from operations.target import STACKS, Target, read_target


def find_stack(environment: str, cloud: str) -> str:
    """The stack of an environment. Raises DeployError if there is none, or more than one on the cloud."""
    found = [stack for stack in map(_read, list_stacks(STACKS)) if stack.settings]
    fitting = [
        stack.name
        for stack in found
        if stack.settings and stack.settings.environment == environment and cloud in ("", stack.settings.cloud)
    ]
    if len(fitting) == 1:
        return fitting[0]
    what = f"environment {environment}" + (f" on {cloud}" if cloud else "")
    if not fitting:
        known = sorted({str(stack.settings.environment) for stack in found if stack.settings})
        raise DeployError(f"No stack in `stacks` has {what}: set ENV to one of {', '.join(known)}.")
    raise DeployError(f"{what} has the stacks {', '.join(fitting)}: name one with STACK=..., or a cloud with CLOUD=...")


def deploy(name: str, *, is_confirmed: bool) -> int:
    """Deploy a stack, then check its health and test it; returns the exit code of the first step that failed."""
    target = read_target(name)
    code = _update(target) if target.is_rehearsed else commands.run("up", name, is_confirmed=is_confirmed)
    if code:
        print(f"{name} was not deployed; its health was not checked, and no smoke test was run.", file=sys.stderr)
        return code
    for title, check in (("Health", health.check), ("Smoke test", smoke_test.run)):
        if not report(f"{title} of {name}", check(target)):
            print(f"{title} of {name} failed: see `missing` above. The deployment stays in place.", file=sys.stderr)
            return 1
    return 0


def check_settings(name: str) -> list[Finding]:
    """Check a stack's settings without a cloud. A rehearsal accepts placeholders of images."""
    target = read_target(name)
    findings = list(preflight.check_offline(target.stack))
    return findings[:1] if target.is_rehearsed else findings


def report(title: str, findings: Sequence[Finding]) -> bool:
    """Print findings; returns whether nothing is missing."""
    print(f"{title}:\n{render(findings)}", flush=True)
    return not list_missing(findings)


def _update(target: Target) -> int:
    """Update in a rehearsal's shell, whose engine works on the rehearsed stack and adds the policies itself."""
    options = ["--yes", "--skip-preview", "--stack", target.name, "--non-interactive"]
    answer = target.ask("pulumi", "up", *options)
    print(answer.output, answer.error, sep="", end="", flush=True)
    return answer.code


def _read(name: str) -> Stack:
    return read_stack(name, STACKS)
