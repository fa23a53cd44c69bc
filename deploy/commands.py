"""The commands: each checks what the stack needs, and all but `preflight` then run Pulumi."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from deploy.errors import DeployError
from deploy.prerequisites import find_missing
from kernel.stack_names import describe_unknown_stack, list_stacks

ROOT = Path(__file__).resolve().parents[1]
ACTIONS = ("preflight", "preview", "up", "destroy")
_STACKS = ROOT / "stacks"
_POLICY_PACK = ROOT / "policies"


def run(action: str, stack: str) -> int:
    """Run one of `ACTIONS` for a stack on its real cloud and return the exit code.

    Previews and updates run under the policy pack. Raises DeployError when the stack has no settings file, or when
    backend, Pulumi or credentials are missing.
    """
    check_prerequisites(action, stack)
    if action == "preflight":
        return 0
    policies = [] if action == "destroy" else ["--policy-pack", str(_POLICY_PACK)]
    return subprocess.run(["pulumi", action, "--stack", stack, *policies], cwd=ROOT, check=False).returncode


def check_prerequisites(action: str, stack: str) -> None:
    """Raises DeployError with one message that lists everything that is missing, each with its remedy."""
    known = list_stacks(_STACKS)
    if stack not in known:
        raise DeployError(describe_unknown_stack(stack, f"stacks/Pulumi.{stack}.yaml", known))
    missing = find_missing(stack, os.environ)
    if missing:
        listed = "\n".join(f"  - {item}" for item in missing)
        raise DeployError(
            f"`make {action} STACK={stack}` works on the real cloud, and something is missing:\n{listed}\n"
            f"Nothing has been touched. `make rehearse STACK={stack}` needs none of it."
        )
