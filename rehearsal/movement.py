"""`make rehearse-move`: change the simulated cloud as an actor would, and check what the next deployment would do."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable

from kernel.engine_events import list_refusals, read_events
from rehearsal.console import UserError, info
from rehearsal.engine_runs import run_engine
from rehearsal.movement_harm import PlannedStep, find_harm, read_steps
from rehearsal.scene import Scene, require_one_of
from rehearsal.session import Rehearsal
from rehearsal.simulator.clouds import list_actors, move_clouds


def move(arguments: Namespace) -> int:
    """Have an actor change what exists, refresh, and preview. Fails if the next deployment would do harm.

    Raises UserError if the actor is unknown, or nothing is deployed.
    """
    rehearsal = Rehearsal(arguments.stack, arguments.purpose, scene=Scene.parse(arguments))
    require_one_of("ACTOR", arguments.actor, list_actors())
    if not rehearsal.read_resources():
        remedy = f"`make rehearse STACK={rehearsal.stack}` brings it up."
        raise UserError(f"Nothing of {rehearsal.stack} is deployed: {remedy}")
    with rehearsal.open_state() as state:
        lines = move_clouds(state, arguments.actor, rehearsal.scene.get_day())
    if not lines:
        info(f"The actor {arguments.actor} has nothing to change on {rehearsal.stack}.")
        return 0
    info("The cloud has moved:" + "".join(f"\n  {line}" for line in lines))
    events = rehearsal.folder / "moved-events.jsonl"
    with rehearsal.running(arguments.port) as running:
        if code := run_engine(rehearsal, ["refresh", "--yes"], running.environment, events):
            return code
        code = run_engine(rehearsal, ["preview"], running.environment, events)
    if code:
        refused = "".join(f"\n  {name}: {reason}" for name, reason in list_refusals(read_events(events)).items())
        info(f"\nThe next deployment is refused, and does no harm. Adjust the settings to the cloud.{refused}")
        return code
    steps = read_steps(read_events(events))
    harm = [line for step in steps for line in find_harm(step)]
    if harm:
        info("\nThe next deployment would do harm:" + "".join(f"\n  {line}" for line in harm))
        return 1
    info(f"\nThe next deployment would do no harm. It would change {_list_updates(steps)}.")
    return 0


def _list_updates(steps: Iterable[PlannedStep]) -> str:
    """The existing resources that a plan updates; resources that it creates did not move."""
    return ", ".join(sorted(step.label for step in steps if step.operation == "update")) or "nothing that exists"
