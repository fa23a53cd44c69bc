"""The commands: each checks what the stack needs, and all but `preflight` then run Pulumi."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from deploy import expired_credentials, plan_approval, preflight, setting_changes
from deploy.creation_time import describe_creation
from deploy.engine import Engine
from deploy.errors import DeployError
from deploy.findings import Finding, list_missing, missing, render
from deploy.programs import ROOT, Programs
from deploy.stack import Stack, read_stack
from infra.core.settings.catalogue import list_settings
from kernel.rehearsals import REHEARSED_STACK
from plan_guard import Approval

ACTIONS = ("preflight", "preview", "drift", "up", "destroy")
# The engine's command for an action that is not a command of the engine itself.
_ENGINE_COMMANDS = {"drift": ("preview", "--refresh", "--expect-no-changes")}
_CHANGES = ("up", "destroy")
_WITH_SETTINGS = ("preview", "up")
_WITH_APPROVALS = ("preflight", "preview", "up")
_STACKS = ROOT / "stacks"
_POLICY_PACK = ROOT / "policies"


def run(
    action: str,
    name: str,
    *,
    is_confirmed: bool = False,
    confirmed_losses: Collection[str] = (),
    event_log: Path | None = None,
) -> int:
    """Run one of `ACTIONS` for a stack on its real cloud and return the exit code.

    Previews and updates run with the policy pack, on the stack in the backend, which is created if it does not exist.
    Raises DeployError if the stack has no file, if something is missing (after a report of everything that is), if a
    setting cannot be changed, or if data would be lost without approval.

    confirmed_losses  settings that may be changed although that loses data
    event_log         file for the engine's events; without it they are discarded
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
            f"{name} is not ready {purpose}: see `missing` above. Nothing has been changed. "
            f"`make rehearse STACK={name}` needs no cloud."
        )
    approvals = plan_approval.read_approvals(stack) if action in _WITH_APPROVALS else []
    if action == "preflight":
        print(f"Everything that {name} needs is present.", file=sys.stderr)
        return 0
    if action in _WITH_SETTINGS:
        # A preview loses nothing, so it needs no confirmation to show what would be lost.
        losses = confirmed_losses if action == "up" else list_settings()
        _report(setting_changes.describe(stack, engine, losses))
    print(engine.select_stack(stack, create=action in _WITH_SETTINGS), file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        log, plan = event_log or Path(folder, "events.jsonl"), Path(folder, "plan.json")
        log.unlink(missing_ok=True)  # the engine would append to the log of another run
        if action == "up":
            code = _deploy(engine, stack, log, approvals, is_confirmed=is_confirmed)
        else:
            saving = ["--save-plan", str(plan)] if action == "preview" else []
            confirmation = ["--yes"] if is_confirmed and action == "destroy" else []
            code = _run_engine(engine, action, name, log, [*confirmation, *saving])
            if action == "preview" and code == 0:
                _warn_of_losses(stack, log, approvals)
        _report(describe_creation(log, plan))
        for explanation in _explain_failure(action, stack, engine, log) if code else ():
            _report(explanation)
    return code


def _deploy(engine: Engine, stack: Stack, log: Path, approvals: Sequence[Approval], *, is_confirmed: bool) -> int:
    """Preview, check that losses are approved, ask, update: the person sees the same preview that is checked.

    Raises DeployError.
    """
    if code := _run_engine(engine, "preview", stack.name, log):
        return code
    text, refusal = plan_approval.check_preview(stack, log, approvals)
    _report(text)
    if refusal:
        raise DeployError(f"Nothing has been changed: {refusal}")
    if not is_confirmed and not _ask(f"Deploy this to {stack.name}?"):
        print("Nothing has been changed.", file=sys.stderr)
        return 1
    return _run_engine(engine, "up", stack.name, log, ["--yes", "--skip-preview"])


def _warn_of_losses(stack: Stack, log: Path, approvals: Sequence[Approval]) -> None:
    """Print what a deployment would report and refuse."""
    text, refusal = plan_approval.check_preview(stack, log, approvals)
    _report(text)
    _report(refusal and f"`make up` refuses this: {refusal}")


def _run_engine(engine: Engine, action: str, name: str, log: Path, options: Sequence[str] = ()) -> int:
    policies = [] if action == "destroy" else ["--policy-pack", str(_POLICY_PACK)]
    command = _ENGINE_COMMANDS.get(action, (action,))
    return engine.run(*command, "--stack", name, *policies, *options, log=log)


def _ask(question: str) -> bool:
    """Whether the person at the terminal answers yes; the end of input means no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _explain_failure(action: str, stack: Stack, engine: Engine, log: Path) -> Iterator[str]:
    """What is known about a failed run beyond the engine's own output; texts may be empty."""
    if action in _WITH_SETTINGS:
        yield setting_changes.explain_failure(stack, log)
    yield expired_credentials.explain(action, stack.name, log)
    if action == "destroy":
        yield setting_changes.explain_protection(stack, engine)


def _report(text: str) -> None:
    if text:
        print(text, file=sys.stderr)


def _demand_confirmation(action: str, name: str) -> Finding:
    return missing(
        "confirmation",
        f"`make {action}` asks before it changes anything, and there is no terminal to ask on",
        f"`make {action} STACK={name} YES=1` confirms without asking",
    )
