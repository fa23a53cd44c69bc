"""Scenarios of a stack: commands of a rehearsal, one after the other, whose circumstances change.

Each command is one that people run, in a process of its own, on a rehearsal beside the stack's usual one.
"""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from kernel.engine_events import list_errors, read_events
from kernel.reviewed_entries import find_today
from plan_guard import judge, read_plan
from rehearsal import scenario_table
from rehearsal.console import UserError, info
from rehearsal.interruption import interrupt_at, list_created_twice, list_orphans
from rehearsal.interrupts import interrupts_left_to_child
from rehearsal.session import Rehearsal
from rehearsal.shared_account import find_neighbour, list_collisions, share_account
from rehearsal.toolchain import ROOT

_THIRTEEN_MONTHS = timedelta(days=396)
_POINTS = 25
"""Interruptions of `kill-at-any-point`: 50 for the two stacks of production."""


@dataclass(frozen=True)
class ScenarioRun:
    """A scenario while it runs on a stack."""

    rehearsal: Rehearsal

    def succeed(self, title: str, command: str, *options: str) -> None:
        """Run a command that has to succeed, and whose preview may lose no data. Raises UserError."""
        if _wait(self.start(title, command, *options)) != 0:
            raise UserError(f"It failed at '{title}': the command says why above.")
        if command == "up":
            plan = read_plan(self._log("preview").read_text(), "The preview")
            if refusal := judge(plan, [], find_today()).refuse("approvals", find_today()):
                raise UserError(f"It failed at '{title}': {refusal.splitlines()[0]}\n{refusal.splitlines()[1]}")

    def fail(self, title: str, words: Sequence[str], command: str, *options: str) -> None:
        """Run a command that has to be refused, with one of some words. Raises UserError where it is not."""
        for step in ("preview", "up"):
            self._log(step).unlink(missing_ok=True)
        if _wait(self.start(title, command, *options)) == 0:
            raise UserError(f"It failed at '{title}': nobody has refused it.")
        errors = [error for step in ("preview", "up") for error in list_errors(read_events(self._log(step)))]
        if not any(word in error for word in words for error in errors):
            raise UserError(f"It failed at '{title}': the refusal names none of {', '.join(words)}.")
        info(f"\nIt was refused, as it should be: '{title}'.")

    def start(self, title: str, command: str, *options: str) -> subprocess.Popen[bytes]:
        """Start one of the rehearsal's commands."""
        info(f"\n== {self.rehearsal.stack}: {title}")
        rehearsal = self.rehearsal
        purpose = ["--purpose", rehearsal.purpose]
        arguments = [sys.executable, "-m", "rehearsal", command, rehearsal.stack, *purpose, *options]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return subprocess.Popen(arguments, cwd=rehearsal.project.root, env={**os.environ, "PYTHONPATH": path})

    def set(self, settings: Mapping[str, Any]) -> None:
        """Change settings of this rehearsal alone, by their paths: `section.name`."""
        self.rehearsal.refresh_settings()
        path = self.rehearsal.workspace.stack_copy(self.rehearsal.stack).path
        content = yaml.safe_load(path.read_text()) or {}
        for name, value in settings.items():
            section, _, key = name.partition(".")
            config = content.setdefault("config", {})
            config[f"{self.rehearsal.project.name}:{section}"] = (
                {**config.get(f"{self.rehearsal.project.name}:{section}", {}), key: value} if key else value
            )
        path.write_text(yaml.safe_dump(content))

    def on(self, stack: str) -> ScenarioRun:
        """The same scenario on another stack of the project, which has never been up."""
        other = replace(self.rehearsal, stack=stack)
        other.remove()
        return ScenarioRun(other)

    def _log(self, step: str) -> Path:
        return self.rehearsal.folder / f"{step}-events.jsonl"


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a command, which gets Ctrl-C itself and ends in good order."""
    with interrupts_left_to_child() as interrupted:
        code = process.wait()
    if interrupted:
        raise KeyboardInterrupt
    return code


def _come_up_in_a_fresh_account(run: ScenarioRun) -> None:
    run.succeed("up in a fresh account", "up", "--account", "fresh")


def _be_refused_outside(run: ScenarioRun) -> None:
    settings = [f"setting for that is {path}" for path in run.rehearsal.project.callers.values()]
    run.fail("up from outside the network", settings, "up", "--caller", "outside")
    run.succeed("up from inside, where that stopped", "up")
    run.fail("preview from outside, of what stands", settings, "up", "--caller", "outside")


def _let_a_second_operator_in(run: ScenarioRun) -> None:
    project = run.rehearsal.project
    admins = project.callers.get("admins", "")
    administrator = project.scenarios.admins.get(_read_account(run))
    if not admins or not administrator:
        raise UserError("rehearsal.yaml does not say who a second operator is: set admins of callers and scenarios.")
    run.succeed("up by whoever deploys first", "up")
    run.fail("up by somebody whom nobody has let in", [f"setting for that is {admins}"], "up", "--caller", "operator")
    run.set({admins: [administrator]})
    run.succeed("up by whoever deploys first, who lets the other in", "up")
    run.succeed("up by the second operator", "up", "--caller", "operator")


def _destroy_and_come_up(run: ScenarioRun) -> None:
    run.set(run.rehearsal.project.scenarios.unprotected)
    run.succeed("up without protection", "up")
    run.succeed("destroy", "destroy")
    run.succeed("up again, with the names that are taken", "up")


def _come_back_after_thirteen_months(run: ScenarioRun) -> None:
    run.succeed("up today", "up")
    day = date.today() + _THIRTEEN_MONTHS
    run.succeed(f"up on {day}", "up", "--today", day.isoformat())


def _share_an_account(run: ScenarioRun) -> None:
    other = run.on(find_neighbour(run.rehearsal))
    run.succeed("up in an empty account", "up")
    share_account(run.rehearsal, other.rehearsal)
    other.succeed(f"up in the account of {run.rehearsal.stack}", "up")
    if collisions := list_collisions(run.rehearsal, other.rehearsal):
        raise UserError("It failed: both stacks have " + ", ".join(collisions))


def _go_on_after_interruptions(run: ScenarioRun) -> None:
    reached = 0
    for point in range(1, _POINTS + 1):
        process = run.start(f"up, ended at point {point} of {_POINTS}", "up")
        reached = interrupt_at(process, run.rehearsal, reached, point / (_POINTS + 1))
    run.succeed("up to the end", "up")
    if faults := [*list_created_twice(run.rehearsal), *list_orphans(run.rehearsal)]:
        raise UserError(f"It failed: {'; '.join(faults)}.")


@dataclass(frozen=True)
class Scenario:
    """
    summary  what has to be, as a page says it
    run      raises UserError where it is not
    """

    summary: str
    run: Callable[[ScenarioRun], None]


SCENARIOS: Mapping[str, Scenario] = {
    "fresh-account": Scenario(
        "comes up in an account without service-linked roles, and with the resource providers that preflight demands",
        _come_up_in_a_fresh_account,
    ),
    "outside-the-network": Scenario(
        "is refused from an address that no setting has, naming the setting, and goes on from inside",
        _be_refused_outside,
    ),
    "second-operator": Scenario(
        "refuses somebody else until `cluster.admins` lets them in, and loses nothing when they deploy",
        _let_a_second_operator_in,
    ),
    "destroy-then-up": Scenario(
        "comes up again the same day, although names of what was deleted stay taken",
        _destroy_and_come_up,
    ),
    "thirteen-months-later": Scenario(
        "is deployed again 396 days later, and loses nothing by that",
        _come_back_after_thirteen_months,
    ),
    "two-stacks-in-one-account": Scenario(
        "and another stack of its cloud come up in one account, and have no resource in common",
        _share_an_account,
    ),
    "kill-at-any-point": Scenario(
        f"comes up after {_POINTS} runs that were ended on the way: nothing is created twice, nothing is orphaned",
        _go_on_after_interruptions,
    ),
}


def run(name: str, stack: str) -> int:
    """Run a scenario on a stack from nothing, and note in the project's table how it ended; returns an exit code.

    Raises UserError where there is no such scenario or stack.
    """
    key = name.strip().lower().replace(" ", "-")
    if key not in SCENARIOS:
        raise UserError(_describe_unknown(name))
    scenario_run = ScenarioRun(Rehearsal(stack, f"scenario-{key}"))
    rehearsal = scenario_run.rehearsal
    rehearsal.remove()
    info(f"Scenario {key} on {stack}, which {SCENARIOS[key].summary}.")
    problem = ""
    try:
        SCENARIOS[key].run(scenario_run)
    except UserError as error:
        problem = str(error)
    if table := rehearsal.project.scenarios.table:
        summaries = {each: scenario.summary for each, scenario in SCENARIOS.items()}
        scenario_table.note(table, summaries, rehearsal.project.stack_names, key, stack, has_passed=not problem)
    info(f"\n{problem}\nFAILED: scenario {key} on {stack}." if problem else f"\nPASSED: scenario {key} on {stack}.")
    return int(bool(problem))


def _describe_unknown(name: str) -> str:
    similar = difflib.get_close_matches(name.lower().replace(" ", "-"), SCENARIOS, n=1, cutoff=0.4)
    hint = f" Did you mean {similar[0]}?" if similar else ""
    return f"NAME='{name}' is no scenario.{hint} Scenarios are {', '.join(SCENARIOS)}."


def _read_account(run: ScenarioRun) -> str:
    """The value of the setting that tells which stacks may share an account."""
    project = run.rehearsal.project
    return str(run.rehearsal.settings_in_force().values.get(f"{project.name}:{project.scenarios.account}"))
