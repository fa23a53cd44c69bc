"""The command `sarif`: what the policies found in a run, for code scanning services."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from delivery import sarif
from delivery.errors import DeliveryError
from delivery.outputs import write_summary
from kernel.engine_events import read_events


def add_command(add: Callable[..., argparse.ArgumentParser]) -> None:
    command = add("sarif", _write, "write what the policies found as SARIF, from the engine's events", "stack")
    command.add_argument("events", type=Path, help="as `make preview LOG=<file>` keeps them, or a rehearsal")
    command.add_argument("output", type=Path)


def _write(options: argparse.Namespace) -> int:
    """Fails where a violation would stop a deployment, after the file is written."""
    try:
        events = list(read_events(options.events))
    except ValueError:
        raise DeliveryError(f"{options.events} is not a log of the engine's events, one JSON object a line.") from None
    if not events:
        raise DeliveryError(
            f"There are no events in {options.events}: `make preview STACK={options.stack} LOG=<file>` keeps them, and "
            f"`make rehearse STACK={options.stack}` those of a rehearsal."
        )
    log = sarif.render(options.stack, events)
    options.output.write_text(f"{json.dumps(log, indent=2)}\n")
    violations, results = sarif.count_violations(log), len(log["runs"][0]["results"])
    text = f"{options.stack}: {violations} violations of policies, {results - violations} notes ({options.output})"
    print(text)
    write_summary(text)
    return 1 if violations else 0
