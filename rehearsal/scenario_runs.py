"""Scenarios of a stack: sequences of a rehearsal's commands in changing circumstances."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from rehearsal import scenario_table
from rehearsal.console import UserError, info
from rehearsal.interruption import interrupt_at, list_created_twice, list_orphans
from rehearsal.project import Project
from rehearsal.scenario_run import ScenarioRun, read_account
from rehearsal.scene import name_zone
from rehearsal.session import Rehearsal
from rehearsal.shared_account import find_neighbour, list_collisions, share_account

_THIRTEEN_MONTHS = timedelta(days=396)
ALL = "all"
"""Used in place of a scenario's name to run all of them."""
_INTERRUPTED = "kill-at-any-point"
_POINTS = 25
"""Interruptions of `kill-at-any-point`: 50 for the two stacks of production."""


def _deploy_in_a_fresh_account(run: ScenarioRun) -> None:
    run.bring_up("up in a fresh account")


def _refuse_callers_outside(run: ScenarioRun) -> None:
    settings = [f"setting for that is {path}" for path in run.rehearsal.project.callers.values()]
    run.fail("up from outside the network", settings, "up", "--caller", "outside")
    run.succeed("up from inside, continuing where that stopped", "up")
    run.set(run.rehearsal.project.scenarios.changed)
    run.fail("up of a change in the cluster from outside", settings, "up", "--caller", "outside")
    run.succeed("up of that change from inside", "up")


def _admit_a_second_operator(run: ScenarioRun) -> None:
    project = run.rehearsal.project
    admins = project.callers.get("admins", "")
    administrator = project.scenarios.admins.get(read_account(run.rehearsal))
    if not admins or not administrator:
        raise UserError("rehearsal.yaml names no second operator: set `admins` in both `callers` and `scenarios`.")
    refusal = [f"setting for that is {admins}"]
    run.bring_up("up by the first operator")
    # An update that changes nothing in the cluster does not call its API, so it is not refused.
    run.set(project.scenarios.changed)
    run.fail("up of a change in the cluster by an operator without access", refusal, "up", "--caller", "operator")
    run.restore(project.scenarios.changed)
    run.set({admins: [administrator]})
    run.succeed("up by the first operator, who grants access to the second", "up")
    run.set(project.scenarios.changed)
    run.succeed("up of that change by the second operator", "up", "--caller", "operator")


def _destroy_and_redeploy(run: ScenarioRun) -> None:
    run.set(run.rehearsal.project.scenarios.unprotected)
    allowed = run.allow_exceptions()
    run.succeed("up without protection", "up", *allowed)
    run.succeed("destroy", "destroy")
    run.succeed("up again, with reserved names", "up", *allowed)


def _redeploy_after_thirteen_months(run: ScenarioRun) -> None:
    run.bring_up("up today")
    day = date.today() + _THIRTEEN_MONTHS
    run.succeed(f"up on {day}", "up", "--today", day.isoformat())


def _wait_for_grants(run: ScenarioRun) -> None:
    run.succeed("up with grants that take effect as late as possible", "up", "--grants", "slow")


def _follow_moves(run: ScenarioRun) -> None:
    run.bring_up("up")
    for actor in ("growth", "failover", "autoscaler"):
        run.move(actor)
    title = "up after all changes"
    run.succeed(title, "up")
    run.require_harmless(title)


def _upgrade_a_minor_version(run: ScenarioRun) -> None:
    earlier = run.describe("earlier")
    values = ", ".join(f"{path} = {value}" for path, value in earlier.items())
    run.set(earlier)
    run.succeed(f"up with {values}", "up")
    run.restore(earlier)
    run.succeed("up with the stack's own versions", "up")
    run.move("patch")
    run.succeed("up after the cloud's own patches", "up")


def _use_another_size(run: ScenarioRun) -> None:
    size, others = run.describe("sold_out"), run.describe("in_stock")
    place = name_zone(run.read_setting("location"), size)
    title = f"up where {place} has no {size}"
    run.fail(title, [size], "up", "--sold-out", f"{place}/{size}")
    run.require_cause(title, others)
    run.set(others)
    values = ", ".join(f"{path} = {value}" for path, value in others.items())
    run.succeed(f"up there with {values}", "up", "--sold-out", f"{place}/{size}")


def _share_an_account(run: ScenarioRun) -> None:
    other = run.on(find_neighbour(run.rehearsal))
    run.bring_up("up in an empty account")
    share_account(run.rehearsal, other.rehearsal)
    other.succeed(f"up in the account of {run.rehearsal.stack}", "up")
    if collisions := list_collisions(run.rehearsal, other.rehearsal):
        raise UserError("It failed: both stacks have " + ", ".join(collisions))


def _continue_after_interruptions(run: ScenarioRun) -> None:
    reached = 0
    for point in range(1, _POINTS + 1):
        process = run.start(f"up, interrupted at point {point} of {_POINTS}", "up")
        reached = interrupt_at(process, run.rehearsal, reached, point / (_POINTS + 1))
    run.succeed("up to the end", "up")
    if faults := [*list_created_twice(run.rehearsal), *list_orphans(run.rehearsal)]:
        raise UserError(f"It failed: {'; '.join(faults)}.")


@dataclass(frozen=True)
class Scenario:
    """
    summary  what the scenario requires of a stack, in the words of the page
    run      raises UserError if that does not hold
    """

    summary: str
    run: Callable[[ScenarioRun], None]


SCENARIOS: Mapping[str, Scenario] = {
    "fresh-account": Scenario(
        "comes up in an account without service-linked roles, and with the resource providers that preflight requires",
        _deploy_in_a_fresh_account,
    ),
    "outside-the-network": Scenario(
        "is refused from an address that no setting lists, with the setting to change, and continues from inside",
        _refuse_callers_outside,
    ),
    "second-operator": Scenario(
        "refuses another operator until `cluster.admins` grants access, and loses nothing when they deploy",
        _admit_a_second_operator,
    ),
    "destroy-then-up": Scenario(
        "comes up again on the same day, although names of deleted resources are still reserved",
        _destroy_and_redeploy,
    ),
    "thirteen-months-later": Scenario(
        "is deployed again 396 days later, and loses nothing",
        _redeploy_after_thirteen_months,
    ),
    "slow-grants": Scenario(
        "comes up although roles and access take effect as late as possible: what needs them waits for them",
        _wait_for_grants,
    ),
    "after-growth-failover-and-scaling": Scenario(
        "is deployed again after its disk has grown, its database has failed over and its nodes were scaled, without "
        "undoing any of it",
        _follow_moves,
    ),
    "minor-upgrade": Scenario(
        "comes up with the earlier minor version of Kubernetes and of its add-ons, then with its own, then after the "
        "cloud's patches, and loses nothing",
        _upgrade_a_minor_version,
    ),
    "region-out-of-stock": Scenario(
        "is refused if a zone has no machines of its size, with the setting to change, and continues with another size",
        _use_another_size,
    ),
    "two-stacks-in-one-account": Scenario(
        "and another stack of its cloud come up in one account, and have no resource in common",
        _share_an_account,
    ),
    _INTERRUPTED: Scenario(
        f"comes up after {_POINTS} interrupted runs: nothing is created twice, nothing is orphaned",
        _continue_after_interruptions,
    ),
}


def run(name: str, stack: str) -> int:
    """Run a scenario on a stack in a new rehearsal, and record the result in the project's table; returns an exit code.

    `all` runs every scenario that applies to the stack; those that start with the stack in a fresh account share one
    deployment. Raises UserError if there is no such scenario or stack.
    """
    key = name.strip().lower().replace(" ", "-")
    if key == ALL:
        return _run_all(Rehearsal(stack, "scenarios"))
    if key not in SCENARIOS:
        raise UserError(_describe_unknown(name))
    problem = _run(key, ScenarioRun(Rehearsal(stack, f"scenario-{key}")))
    info(_describe_end(key, stack, problem))
    return int(bool(problem))


def _run_all(shared: Rehearsal) -> int:
    """Run all scenarios of a stack, the first of which brings up the rehearsal `shared`; returns an exit code."""
    shared.remove()
    left_out = _list_left_out(shared.project)
    problems = {}
    for key in (each for each in SCENARIOS if (each, shared.stack) not in left_out):
        scenario_run = ScenarioRun(Rehearsal(shared.stack, f"scenario-{key}"), shared)
        problems[key] = _run(key, scenario_run)
        info(_describe_end(key, shared.stack, problems[key]))
        if not problems[key]:
            scenario_run.rehearsal.remove()
    shared.remove()
    ends = [_describe_end(key, shared.stack, problem) for key, problem in problems.items()]
    info("".join(["\n== All scenarios", *ends]))
    return int(any(problems.values()))


def _run(key: str, scenario_run: ScenarioRun) -> str:
    """Run a scenario, and record the result; returns the problem, or nothing."""
    rehearsal = scenario_run.rehearsal
    rehearsal.remove()
    info(f"Scenario {key} on {rehearsal.stack}, which {SCENARIOS[key].summary}.")
    problem = ""
    try:
        SCENARIOS[key].run(scenario_run)
    except UserError as error:
        problem = str(error)
    if table := rehearsal.project.scenarios.table:
        summaries = {each: scenario.summary for each, scenario in SCENARIOS.items()}
        page = scenario_table.Page(table, summaries, rehearsal.project.stack_names, _list_left_out(rehearsal.project))
        page.note(key, rehearsal.stack, has_passed=not problem)
    return problem


def _list_left_out(project: Project) -> Collection[tuple[str, str]]:
    """Scenarios and the stacks that they do not apply to: all the interruptions take half an hour per stack."""
    interrupted = project.scenarios.interrupted or project.stack_names
    return {(_INTERRUPTED, stack) for stack in project.stack_names if stack not in interrupted}


def _describe_end(key: str, stack: str, problem: str) -> str:
    return f"\n{problem}\nFAILED: scenario {key} on {stack}." if problem else f"\nPASSED: scenario {key} on {stack}."


def _describe_unknown(name: str) -> str:
    similar = difflib.get_close_matches(name.lower().replace(" ", "-"), SCENARIOS, n=1, cutoff=0.4)
    hint = f" Did you mean {similar[0]}?" if similar else ""
    return f"NAME='{name}' is not a scenario.{hint} Scenarios are {', '.join(SCENARIOS)}; '{ALL}' runs them all."
