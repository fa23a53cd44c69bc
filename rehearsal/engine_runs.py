"""Runs the engine on a rehearsal, with its output shown to the user or returned to the caller."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from kernel.engine_progress import NO_DOTS, report_waits, shows_progress
from rehearsal.console import UserError, info
from rehearsal.interrupts import interrupts_left_to_child
from rehearsal.session import Rehearsal


def run_engine(
    rehearsal: Rehearsal,
    command: Sequence[str],
    environment: Mapping[str, str],
    events: Path,
    *,
    shown_on_failure: bool = False,
) -> int:
    """Run the engine and show its output; Ctrl-C reaches the engine, which then stops cleanly.

    events            the file for its event log
    shown_on_failure  whether to show its output only if it fails
    """
    colour = ["--color", "always" if sys.stdout.isatty() else "never"]
    events.unlink(missing_ok=True)
    is_live = shows_progress() and not shown_on_failure
    dots, waits = ((), nullcontext()) if is_live else (NO_DOTS, report_waits(events, info))
    arguments = [*command, *colour, *dots, "--event-log", str(events)]
    with interrupts_left_to_child() as interrupted, waits:
        reply = rehearsal.pulumi(arguments, environment, quiet=shown_on_failure)
    if shown_on_failure and reply.returncode != 0:
        print(reply.stdout, end="", flush=True)
        info(reply.stderr)
    if interrupted:
        raise KeyboardInterrupt
    return reply.returncode


def read_engine(rehearsal: Rehearsal, command: Sequence[str], environment: Mapping[str, str]) -> str:
    reply = rehearsal.pulumi(command, environment, quiet=True)
    if reply.returncode != 0:
        raise UserError(f"`pulumi {' '.join(command)}` failed: {reply.stderr.strip()}")
    return reply.stdout
