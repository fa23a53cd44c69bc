"""The page about a run of mutations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.evaluation import EQUIVALENT, NOT_EXECUTED, SURVIVED, Result
from tests.mutation.mutants import FOLDERS, KINDS, Mutant
from tests.mutation.results import ReviewedMutants, count, find_reason

PAGE = "docs/mutations.md"
GOAL = 95  # percent
_DEFAULT = "what it leaves out is the default of the API server or of a chart: the stacks are the same"
_INTRODUCTION = """\
# Mutations

Do the checks notice when something is left out? `make mutate` takes the program in `infra/azure`, `infra/aws` and
`infra/cluster`, and leaves out one keyword argument, entry of a mapping, element of a list, dependency or resource at a
time. Each mutant declares whole stacks against the simulated clouds in a separate process: one with everything that is
optional, then another. It is caught as soon as a check of a rehearsal reports something: the program itself, the
simulated clouds, the policies, the charts, the cluster, access, wiring, the engine's graph, protection of data, a
second deployment, the destruction, and a real API server, which validates each object that differs. No check compares
with earlier declarations. Mutants that no check notices are passed to the program's unit tests, which state what is
intended (`python -m tests.mutation test`).

A mutant that no check notices may be equivalent to the program. This is detected if the stacks are the same after the
API server and the charts have added their defaults; otherwise somebody has to record it in
`tests/mutation/reviewed.yaml`. All others show something that nothing checks.

`make mutate` draws mutants at random, with the seed `SEED=`, and at most `LIMIT=`; without a limit it runs all, which
takes some hours of processor time. `SHARD=2/8` selects an eighth of them, `JOBS=` runs several at a time, and an
interrupted run continues where it ended. `make docs-mutations` writes this page from the results.
"""


@dataclass(frozen=True)
class Share:
    """The share of mutants that were caught, of those that count: executed by a stack, and not equivalent."""

    caught: int
    survived: int
    equivalent: int
    not_executed: int

    @property
    def percent(self) -> float:
        counted = self.caught + self.survived
        return 100 * self.caught / counted if counted else 100.0

    @property
    def percent_of_all(self) -> float:
        """The share in percent if equivalent mutants count as survivors."""
        counted = self.caught + self.survived + self.equivalent
        return 100 * self.caught / counted if counted else 100.0


def summarize(results: Iterable[Result], reviewed: Sequence[ReviewedMutants]) -> Share:
    caught = survived = equivalent = not_executed = 0
    for result in results:
        if result.killer == NOT_EXECUTED:
            not_executed += 1
        elif _explain_equivalence(result, reviewed):
            equivalent += 1
        elif result.killer == SURVIVED:
            survived += 1
        else:
            caught += 1
    return Share(caught, survived, equivalent, not_executed)


def _explain_equivalence(result: Result, reviewed: Sequence[ReviewedMutants]) -> str:
    """Why a mutant is equivalent to the program; empty if it is not, or this is not known."""
    if result.killer == EQUIVALENT:
        return _DEFAULT
    return find_reason(reviewed, result.id) if result.killer == SURVIVED else ""


def format_page(results: Mapping[Mutant, Result], total: int, reviewed: Sequence[ReviewedMutants], seed: int) -> str:
    """The page in Markdown. `total` is the number of all mutants, of which a run includes some."""
    share = summarize(results.values(), reviewed)
    if not results:
        return f"{_INTRODUCTION}\n## The last run\n\nNone of the {total} mutants has been run yet.\n"
    lines = [
        _INTRODUCTION,
        "## The last run",
        "",
        f"{len(results)} of {total} mutants, drawn with seed {seed}: {share.percent:.1f} % of those that count were "
        f"caught (the goal is {GOAL} %), {share.percent_of_all:.1f} % with the equivalent ones.",
        "",
        *_format_shares("of", {folder: _select(results, folder=folder) for folder in FOLDERS}, reviewed),
        "",
        *_format_shares("what", {kind: _select(results, kind=kind) for kind in KINDS}, reviewed),
        "",
        "| caught by | mutants |",
        "|---|--:|",
    ]
    others = (SURVIVED, EQUIVALENT, NOT_EXECUTED)
    killers = count(found.killer for found in results.values() if found.killer not in others)
    lines += [f"| {killer} | {number} |" for killer, number in killers.items()]
    reasons = count(reason for found in results.values() if (reason := _explain_equivalence(found, reviewed)))
    lines += ["", "| equivalent, because | mutants |", "|---|--:|"]
    lines += [f"| {reason} | {number} |" for reason, number in reasons.items()]
    survivors = sorted(
        found.id for found in results.values() if found.killer == SURVIVED and not _explain_equivalence(found, reviewed)
    )
    lines += [
        "",
        f"## Survivors ({len(survivors)})",
        "",
        "Mutants that no check notices, and that nobody has reviewed.",
    ]
    lines += ["", *(f"- `{survivor}`" for survivor in survivors)] if survivors else ["", "None."]
    return "\n".join(lines) + "\n"


def _select(results: Mapping[Mutant, Result], folder: str = "", kind: str = "") -> list[Result]:
    return [result for mutant, result in results.items() if folder in ("", mutant.folder) and kind in ("", mutant.kind)]


def _format_shares(
    heading: str, groups: Mapping[str, Sequence[Result]], reviewed: Sequence[ReviewedMutants]
) -> list[str]:
    rows = [f"| {heading} | caught | survived | equivalent | not executed | share |", "|---|--:|--:|--:|--:|--:|"]
    for name, results in groups.items():
        share = summarize(results, reviewed)
        numbers = f"{share.caught} | {share.survived} | {share.equivalent} | {share.not_executed}"
        rows.append(f"| {name} | {numbers} | {share.percent:.1f} % |")
    return rows


def write_page(root: Path, text: str) -> None:
    (root / PAGE).write_text(text, encoding="utf-8")
