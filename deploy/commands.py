"""The commands: each checks what the stack needs, and all but `preflight` then run Pulumi."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from deploy import preflight, setting_changes
from deploy.creation_time import describe_creation
from deploy.engine import Engine
from deploy.errors import DeployError
from deploy.findings import Finding, list_missing, missing, render
from deploy.programs import ROOT, Programs
from deploy.stack import read_stack
from infra.core.settings.catalogue import list_settings
from kernel.rehearsals import REHEARSED_STACK

ACTIONS = ("preflight", "preview", "up", "destroy")
_CHANGES = ("up", "destroy")
_WITH_SETTINGS = ("preview", "up")
_STACKS = ROOT / "stacks"
_POLICY_PACK = ROOT / "policies"


def run(action: str, name: str, *, is_confirmed: bool = False, confirmed_losses: Collection[str] = ()) -> int:
    """Run one of `ACTIONS` for a stack on its real cloud and return the exit code.

    Previews and updates run under the policy pack, in the stack of the backend, which is created when it is not there.
    Raises DeployError when there is no such stack, when something is missing, after a report of all that is, or when a
    setting cannot be changed. `confirmed_losses` are settings that may be changed although that loses data.
    """
    if REHEARSED_STACK in os.environ:
        raise DeployError(
            f"This shell belongs to the rehearsal of {os.environ[REHEARSED_STACK]}, and `make {action}` is for real "
            "clouds. Run it in another shell."
        )
    stack = read_stack(name, _STACKS)
    engine = Engine(Programs(os.environ), is_interactive=sys.stdin.isatty() and sys.stdout.isatty())
    findings = preflight.check(stack, engine, for_deployment=action in ("preflight", "up"))
    if action in _CHANGES and not is_confirmed and not engine.is_interactive:
        findings.append(_demand_confirmation(action, name))
    print(f"{name}, on its real cloud:\n{render(findings)}", file=sys.stderr)
    if list_missing(findings):
        purpose = "to be deployed" if action == "preflight" else f"for `make {action}`"
        raise DeployError(
            f"{name} is not ready {purpose}: see `missing` above. Nothing has been touched. "
            f"`make rehearse STACK={name}` needs no cloud."
        )
    if action == "preflight":
        print(f"Everything that {name} needs is there.", file=sys.stderr)
        return 0
    if action in _WITH_SETTINGS:
        # A preview loses nothing, so that it needs no confirmation to show what would be lost.
        losses = confirmed_losses if action == "up" else list_settings()
        _say(setting_changes.describe(stack, engine, losses))
    print(engine.select_stack(stack, create=action != "destroy"), file=sys.stderr)
    policies = [] if action == "destroy" else ["--policy-pack", str(_POLICY_PACK)]
    confirmation = ["--yes"] if is_confirmed and action in _CHANGES else []
    with tempfile.TemporaryDirectory() as folder:
        log, plan = Path(folder, "events.jsonl"), Path(folder, "plan.json")
        saving = ["--save-plan", str(plan)] if action == "preview" else []
        code = engine.run(action, "--stack", name, *policies, *confirmation, *saving, log=log)
        _say(describe_creation(log, plan))
        if code and action in _WITH_SETTINGS and (causes := setting_changes.explain_failure(stack, log)):
            print(causes, file=sys.stderr)
    if code and action == "destroy" and (reason := setting_changes.explain_protection(stack, engine)):
        print(reason, file=sys.stderr)
    return code


def _say(text: str) -> None:
    if text:
        print(text, file=sys.stderr)


def _demand_confirmation(action: str, name: str) -> Finding:
    return missing(
        "confirmation",
        f"`make {action}` asks before it changes anything, and there is no terminal to ask at",
        f"`make {action} STACK={name} YES=1` answers yes",
    )
