"""Runs mutants of the program: `python -m tests.mutation run --limit 100`, then `report`."""

from __future__ import annotations

import argparse
import gc
import random
import select
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rehearsal.console import UserError
from rehearsal.entry_point import run_command
from rehearsal.toolchain import ROOT
from tests.mutation import unit_tests
from tests.mutation.api_server import ApiServer, run_api_server
from tests.mutation.coverage import is_executed, trace_stack
from tests.mutation.equivalence import describe, same_secrets
from tests.mutation.evaluation import (
    NOT_EXECUTED,
    SURVIVED,
    Checks,
    Child,
    Finding,
    Result,
    conclude,
    declare,
    evaluate,
    start,
)
from tests.mutation.mutants import FOLDERS, Mutant, list_mutants
from tests.mutation.report import GOAL, PAGE, format_page, summarize, write_page
from tests.mutation.results import Results, find_reason, fingerprint_sources, read_reviewed_mutants

RESULTS = ROOT / ".groundwork" / "mutations.jsonl"
# The first stack of a cloud has everything that is optional; the others differ in ways that may matter to a mutant.
STACKS: Mapping[str, Sequence[str]] = {
    "infra/azure": ("azure-full", "azure-long"),
    "infra/aws": ("aws-full", "aws-long"),
    "infra/cluster": ("aws-full", "azure-full", "aws-long"),
}
# Modules that a child needs, except the program, which it imports itself. The SDKs take seconds to import.
_IMPORTS = (
    *(f"pulumi_azure_native.{name}" for name in ("authorization", "network", "storage", "keyvault", "monitor")),
    *("pulumi_aws", "pulumi_kubernetes", "pulumi_random", "pulumiverse_time"),
    *("tests.support.declared_stack", "tests.support.declared_cluster", "tests.support.stack_checks"),
)
_TESTED = "no unit test notices it either"


class BrokenBaselineError(UserError):
    """A check reports a problem of the unchanged program, so it would catch every mutant."""


class Runner:
    """Evaluates the unchanged program, and its mutants."""

    def __init__(self, root: Path, server: ApiServer, stacks: Mapping[str, Sequence[str]] = STACKS) -> None:
        """Raises BrokenBaselineError."""
        self._root, self._stacks, self._server = root, stacks, server
        names = list(dict.fromkeys(name for group in stacks.values() for name in group))
        self._lines = {name: trace_stack(root, name) for name in names}
        for name in _IMPORTS:
            import_module(name)
        # Here instead of in a child, so that charts are rendered once for all children.
        self._declarations = {name: self._evaluate_baseline(name) for name in names}
        gc.collect()
        gc.freeze()  # so that garbage collection in a child does not copy shared memory pages

    def _evaluate_baseline(self, name: str) -> Mapping[str, str]:
        declared = declare(name)
        server = {"API server": lambda declared: self._server.learn(declared.objects)}
        found = declared if isinstance(declared, Finding) else evaluate(declared, server)
        if found:
            raise BrokenBaselineError(
                f"{name}: {found.check} reports a problem of the unchanged program: {found.message}"
            )
        return describe(declared, self._server)

    @property
    def checks(self) -> Checks:
        return {"API server": lambda declared: self._server.find_refusals(declared.objects)}

    def is_equivalent(self, declared: Any) -> bool:
        return describe(declared, self._server) == self._declarations[declared.name]

    def run(self, mutants: Sequence[Mutant], jobs: int) -> Iterator[Result]:
        """Yield the result of each mutant as soon as it is known; `jobs` run at a time."""
        running: dict[Child, Mutant] = {}
        for mutant in mutants:
            names = [name for name in self._stacks[mutant.folder] if is_executed(mutant, self._lines[name])]
            if not names:
                yield Result(mutant.id, NOT_EXECUTED)
                continue
            if len(running) == jobs:
                yield from self._wait(running)
            running[start(self._root, mutant, names, self)] = mutant
        while running:
            yield from self._wait(running)

    def _wait(self, running: dict[Child, Mutant]) -> Iterator[Result]:
        """Yield the results of the children that end next."""
        ended, _, _ = select.select(list(running), [], [])
        for child in ended:
            yield conclude(running.pop(child), child)


def draw(mutants: Sequence[Mutant], seed: int, limit: int, shard: str) -> list[Mutant]:
    """Mutants in a random order, limited to a `shard` such as 2/8, and to `limit` mutants; 0 means all."""
    drawn = list(mutants)
    random.Random(seed).shuffle(drawn)  # noqa: S311 a sample
    drawn = drawn[: limit or None]
    number, _, parts = shard.partition("/")
    return drawn[int(number) - 1 :: int(parts)]


def run(arguments: argparse.Namespace) -> int:
    """Run the mutants without a result. Returns 1 if fewer than the goal were caught."""
    results = Results(RESULTS, fingerprint_sources(ROOT))
    wanted = draw(list_mutants(ROOT, arguments.folders), arguments.seed, arguments.limit, arguments.shard)
    missing = [mutant for mutant in wanted if results.get(mutant.id) is None]
    print(f"{len(wanted)} mutants, {len(missing)} of them without a result of these sources", flush=True)
    if missing:
        with TemporaryDirectory() as folder, same_secrets(), run_api_server(Path(folder)) as server:
            _run_missing(Runner(ROOT, server), missing, arguments.jobs, results)
    return summarize_run([found for mutant in wanted if (found := results.get(mutant.id))])


def _run_missing(runner: Runner, missing: Sequence[Mutant], jobs: int, results: Results) -> None:
    started = time.monotonic()
    for number, result in enumerate(runner.run(missing, jobs), start=1):
        results.add(result)
        if result.killer == SURVIVED or number % 25 == 0:
            seconds = time.monotonic() - started
            print(f"{number}/{len(missing)} {seconds:.0f} s: {result.killer}: {result.id}", flush=True)


def test(arguments: argparse.Namespace) -> int:
    """Run the unit tests on the mutants that no check has noticed, in the results of these sources."""
    results, reviewed = Results(RESULTS, fingerprint_sources(ROOT)), read_reviewed_mutants()
    wanted = draw(list_mutants(ROOT, arguments.folders), arguments.seed, arguments.limit, arguments.shard)
    survivors = [
        (mutant, found)
        for mutant in wanted
        if (found := results.get(mutant.id))
        and found.killer == SURVIVED
        and not found.message
        and not find_reason(reviewed, mutant.id)
    ]
    import_module("pulumi_aws")
    import_module("pulumi_azure_native")
    if survivors and (failed := Child(lambda: unit_tests.run_here(ROOT, None), unit_tests.TIMEOUT).finish()) != "":
        raise BrokenBaselineError(f"{failed} fails with the unchanged program")
    for number, (mutant, found) in enumerate(survivors, start=1):
        result = unit_tests.conclude(mutant, unit_tests.start(ROOT, mutant), replace(found, message=_TESTED))
        results.add(result)
        print(f"{number}/{len(survivors)}: {result.killer}: {result.id}: {result.message}", flush=True)
    return summarize_run([found for mutant in wanted if (found := results.get(mutant.id))])


def summarize_run(results: Sequence[Result]) -> int:
    reviewed = read_reviewed_mutants()
    share = summarize(results, reviewed)
    for result in sorted(results, key=lambda each: each.id):
        if result.killer == SURVIVED and not find_reason(reviewed, result.id):
            print(f"survived: {result.id}")
    print(
        f"{share.caught} caught, {share.survived} survived, {share.equivalent} equivalent, {share.not_executed} in "
        f"lines that no stack executes: {share.percent:.1f} % of those that count"
    )
    return 0 if share.percent >= GOAL else 1


def report(arguments: argparse.Namespace) -> int:
    """Write the page from the results of these sources."""
    results, mutants = Results(RESULTS, fingerprint_sources(ROOT)), list_mutants(ROOT)
    found = {mutant: result for mutant in mutants if (result := results.get(mutant.id))}
    write_page(ROOT, format_page(found, len(mutants), read_reviewed_mutants(), arguments.seed))
    print(f"{PAGE} has {len(found)} of {len(mutants)} mutants")
    return 0


def check(_: argparse.Namespace) -> int:
    """Print everything that the checks report on the unchanged program. Returns 1 if there is anything."""
    checks, declare = import_module("tests.support.stack_checks").CHECKS, import_module("tests.support.declared_stack")
    found = 0
    for stack in dict.fromkeys(name for group in STACKS.values() for name in group):
        declared = declare.declare_stack(stack)
        for name, function in checks.items():
            started = time.monotonic()
            messages = list(function(declared))
            print(f"{stack}: {name}: {len(messages)} in {time.monotonic() - started:.1f} s", flush=True)
            for message in messages:
                print(f"  {message}", flush=True)
            found += len(messages)
    return 1 if found else 0


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.mutation", description=__doc__)
    commands = parser.add_subparsers(required=True)
    actions: Mapping[str, Callable[[argparse.Namespace], int]] = {
        "run": run,
        "report": report,
        "check": check,
        "test": test,
    }
    for name, action in actions.items():
        command = commands.add_parser(name)
        command.set_defaults(action=action)
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--limit", type=int, default=0)
        command.add_argument("--shard", default="1/1")
        command.add_argument("--jobs", type=int, default=1)
        command.add_argument("--folders", nargs="*", default=list(FOLDERS), choices=FOLDERS)
    arguments = parser.parse_args(argv)
    return int(arguments.action(arguments))


if __name__ == "__main__":
    sys.exit(run_command(lambda: main(sys.argv[1:])))
