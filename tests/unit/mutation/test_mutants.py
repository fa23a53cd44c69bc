"""The mutants of a file, the mutated file, and the figures of a run.

Proves which parts of a program can be left out, that one mutant leaves out exactly one, that a part keeps its name when
lines move, and how shares are computed. How many mutants of the real program are caught is measured by `make mutate`.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from rehearsal.toolchain import ROOT
from tests.mutation.__main__ import draw
from tests.mutation.evaluation import NOT_EXECUTED, SURVIVED, Result
from tests.mutation.mutants import Mutant, list_mutants, mutate
from tests.mutation.report import format_page, summarize
from tests.mutation.results import Results, ReviewedMutants, find_reason, read_reviewed_mutants

pytestmark = pytest.mark.usefixtures("without_collector")

PROGRAM = """
class Registry(Component):
    def __init__(self, name, args):
        super().__init__(name)
        repository = ecr.Repository(name, tags=args.tags, opts=self.child_options(depends_on=[args.key]))
        ecr.LifecyclePolicy(name, policy={"rules": [rule("untagged", days=14), rule("old", days=90)]})
        for zone in zip(args.zones, args.blocks, strict=True):
            self._create_subnet(zone)
        self.register_outputs({"server": repository.url})
"""
EXPECTED = [
    "dependency Repository(opts)",
    "argument Repository(tags)",
    "dependency child_options(depends_on)",
    "resource LifecyclePolicy(name)",
    "argument LifecyclePolicy(policy)",
    "entry 'rules'",
    "element rule",
    "element rule#2",
    "argument rule(days)",
    "argument rule(days)#2",
    "resource _create_subnet(zone)",
    "entry 'server'",
]


@pytest.fixture
def mutants(tmp_path: Path) -> list[Mutant]:
    return write_program(tmp_path, PROGRAM)


def write_program(root: Path, text: str) -> list[Mutant]:
    folder = root / "infra" / "aws"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "registry.py").write_text(text)
    return list_mutants(root)


def test_every_declared_part_can_be_left_out(mutants: list[Mutant]) -> None:
    assert sorted(f"{mutant.kind} {mutant.what}" for mutant in mutants) == sorted(EXPECTED)
    assert {mutant.scope for mutant in mutants} == {"Registry.__init__"}


def test_a_mutant_leaves_out_one_thing(mutants: list[Mutant]) -> None:
    whole = ast.unparse(ast.parse(PROGRAM))
    programs = {ast.unparse(mutate(PROGRAM, mutant)) for mutant in mutants}
    assert len(programs) == len(mutants)
    assert all(len(program) < len(whole) for program in programs)
    (without_tags,) = [mutate(PROGRAM, mutant) for mutant in mutants if mutant.what == "Repository(tags)"]
    assert ast.unparse(without_tags) == whole.replace("tags=args.tags, ", "")


def test_a_part_keeps_its_name_when_lines_move(tmp_path: Path, mutants: list[Mutant]) -> None:
    moved = write_program(tmp_path / "moved", f"import ecr\n\n{PROGRAM}")
    assert [mutant.id for mutant in moved] == [mutant.id for mutant in mutants]
    assert [mutant.line for mutant in moved] == [mutant.line + 2 for mutant in mutants]


def test_each_part_has_its_own_name() -> None:
    ids = [mutant.id for mutant in list_mutants(ROOT)]
    assert len(set(ids)) == len(ids)


def test_a_sample_is_the_same_for_a_seed_and_shards_share_it(mutants: list[Mutant]) -> None:
    sample = draw(mutants, seed=7, limit=6, shard="1/1")
    assert sample == draw(list(mutants), seed=7, limit=6, shard="1/1")
    shards = [draw(mutants, seed=7, limit=6, shard=f"{number}/2") for number in (1, 2)]
    assert {*shards[0], *shards[1]} == {*sample}
    assert len(sample) == 6


def test_results_belong_to_a_version_of_the_sources(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    Results(path, "before").add(Result("one", SURVIVED))
    Results(path, "after").add(Result("two", "policies"))
    assert Results(path, "after").get("two") == Result("two", "policies")
    assert Results(path, "after").get("one") is None


def test_the_share_is_of_the_mutants_that_count(mutants: list[Mutant]) -> None:
    killers = ["policies", "wiring", "program", SURVIVED, SURVIVED, NOT_EXECUTED]
    results = {mutant: Result(mutant.id, killer) for mutant, killer in zip(mutants, killers, strict=False)}
    reviewed = [ReviewedMutants(mutants[3].id, "for people")]
    share = summarize(results.values(), reviewed)
    assert (share.caught, share.survived, share.equivalent, share.not_executed) == (3, 1, 1, 1)
    assert (share.percent, share.percent_of_all) == (75, 60)
    page = format_page(results, len(mutants), reviewed, seed=7)
    assert f"- `{mutants[4].id}`" in page
    assert mutants[3].id not in page
    assert "| for people | 1 |" in page


def test_reviewed_patterns_refer_to_existing_mutants() -> None:
    ids = [mutant.id for mutant in list_mutants(ROOT)]
    stale = [each.pattern for each in read_reviewed_mutants() if not any(find_reason([each], id_) for id_ in ids)]
    assert stale == []
