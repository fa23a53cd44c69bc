"""Physical names and tags: no two stacks have a name in common, and no name is longer than a service allows.

The tests of each cloud prove that its services accept the longest names. Not covered: names of other projects in the
same account.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import combinations
from typing import Any

import pytest

from infra import aws, azure
from infra.contract import Foundation
from infra.core.component import StackContext
from infra.core.naming import Naming
from infra.core.settings import Settings
from infra.core.settings.tag_rules import OWN_TAGS
from tests.support.recording import Recorder, record_program, stack_context

CREATE: dict[str, Callable[[StackContext], Foundation]] = {
    "azure": azure.create_foundation,
    "aws": aws.create_foundation,
}
WORD = re.compile(r"acme-?gw[\w.*-]+")
# Names that differ only slightly, or begin or end like another name.
STACKS = [
    "dev",
    "Dev",
    "DEV",
    "aws-dev",
    "azure-dev",
    "aws-Dev",
    "aws-dev.2",
    "azure-dev-2",
    "azure-dev2",
    "aws-sandbox",
]
STACKS += ["azure-dev-training", "aws-dev-training", "aws-dev-training-2", "azure-dev-eu", "azure-dev-eu-team-a"]
STACKS += ["azure-dev-eu-team-b", "azure-qa", "qa", "azure-nodes", "azure-dev-aks", "acme-gw-dev", 99 * "a", 100 * "a"]


def naming(cloud: str = "azure", stack: str = "", **settings: str) -> Naming:
    return stack_context(cloud, stack=stack, **settings).naming


@pytest.mark.parametrize(
    ("stack", "prefix"),
    [
        ("azure-dev", "acme-gw-dev"),
        ("azure-staging", "acme-gw-staging"),
        ("azure-sandbox", "acme-gw-sandbox"),
        ("azure-abcdefghijkl", "acme-gw-abcdefghijkl"),
        ("azure-abcdefghijklm", r"acme-gw-abcdefghijkl-[0-9a-f]{5}"),
        ("azure-qa-west", r"acme-gw-qawest-[0-9a-f]{5}"),
        ("Research_EU.1", r"acme-gw-researcheu1-[0-9a-f]{5}"),
        ("aws-dev", r"acme-gw-awsdev-[0-9a-f]{5}"),
        ("dev", r"acme-gw-dev-[0-9a-f]{5}"),
        ("9", r"acme-gw-9-[0-9a-f]{5}"),
    ],
)
def test_names_start_with_the_prefix_of_the_stack(stack: str, prefix: str) -> None:
    assert re.fullmatch(prefix, naming(stack=stack).prefix)


def test_a_regional_name_contains_organization_stack_and_suffix() -> None:
    assert naming().regional_name("cluster") == "acme-gw-dev-cluster"


def test_global_names_differ_by_organization_stack_and_location() -> None:
    namings = (
        naming(),
        naming(organization="umbrella"),
        naming(stack="azure-staging"),
        naming(stack="azure-" + 2 * "long-name"),
        naming(stack="azure-" + 3 * "long-name"),
        naming(location="northeurope"),
        naming("aws"),
    )
    assert len({one.global_name("data") for one in namings}) == len(namings)
    assert len({one.global_word("st", limit=24) for one in namings}) == len(namings)


def test_a_global_name_does_not_depend_on_tags() -> None:
    assert naming().global_name("data") == naming(owner="another").global_name("data")


def test_the_names_of_existing_stacks_do_not_change() -> None:
    """A stack whose names change would be replaced, with all its data."""
    assert naming().global_word("st", limit=24) == "acmegwdevstacc42"
    longest = stack_context("azure", "staging", organization="umbrella").naming
    assert longest.global_word("kv", limit=24) == "umbrellagwstagingkvf96eb"
    assert naming("aws").global_name("artifacts") == "acme-gw-dev-artifacts-ffbb3"


def test_words_consist_of_letters_and_digits_up_to_the_limit() -> None:
    longest = naming(stack="azure-" + 20 * "ab-", organization="umbrella")
    assert re.fullmatch(r"[a-z0-9]{24}", longest.global_word("kv", limit=24))


def test_a_name_over_its_limit_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"has 28 characters, but the service allows 24"):
        naming(stack="azure-staging", organization="umbrella").regional_name("artifact", limit=24)


def test_tags_name_stack_owner_and_cost_center() -> None:
    tags = naming(stack="sandbox", costCenter="cc-42").tags
    assert tags["owner"] == "ml"
    assert tags["cost-center"] == "cc-42"
    assert (tags["stack"], tags["environment"]) == ("sandbox", "dev")


class RecordedNaming(Naming):
    """Records the suffixes and limits that names are built from."""

    def __init__(self, settings: Settings, stack: str) -> None:
        super().__init__(settings, stack)
        self.regional: set[str] = set()
        self.unique: set[str] = set()
        self.words: set[tuple[str, int]] = set()

    def regional_name(self, suffix: str, *, limit: int = 63) -> str:
        self.regional.add(suffix)
        return super().regional_name(suffix, limit=limit)

    def global_name(self, suffix: str, *, limit: int = 63) -> str:
        self.unique.add(suffix)
        return super().global_name(suffix, limit=limit)

    def global_word(self, suffix: str, *, limit: int) -> str:
        self.words.add((suffix, limit))
        return super().global_word(suffix, limit=limit)

    def names_of(self, other: Naming) -> set[str]:
        """The names that the recorded suffixes have in another stack."""
        regional = {other.regional_name(suffix, limit=200) for suffix in self.regional}
        unique = {other.global_name(suffix, limit=200) for suffix in self.unique}
        return regional | unique | {other.global_word(suffix, limit=limit) for suffix, limit in self.words}


def test_the_projects_own_tags_are_those_that_no_stack_can_set() -> None:
    assert {*naming().tags, "Name"} == set(OWN_TAGS)  # consoles of AWS show a resource's tag Name


@dataclass(frozen=True)
class DeclaredNames:
    """The names in the foundation of one stack."""

    cloud: str
    naming: RecordedNaming
    texts: frozenset[str]  # every word with the stack's organization in the inputs of its resources
    generated: frozenset[str]  # types of resources whose name the provider generates


@pytest.fixture(scope="module", params=CREATE)
def declared(request: pytest.FixtureRequest) -> DeclaredNames:
    """The names in the stack <cloud>-dev."""
    cloud, alerts = request.param, {"alertEmail": "ml@example.com"}
    settings = stack_context(cloud, telemetry=alerts).settings
    recorded = RecordedNaming(settings, f"{cloud}-dev")
    recorder, _ = record_program(lambda: CREATE[cloud](StackContext(settings, recorded)), f"{cloud}-dev")
    words = {word for one in recorder.resources for text in walk_texts(one.inputs) for word in WORD.findall(text)}
    return DeclaredNames(cloud, recorded, frozenset(words), frozenset(list_generated(recorder)))


def list_generated(recorder: Recorder) -> Iterator[str]:
    """Types whose names the provider generates, because the program does not declare them."""
    declared = {(each.type, each.name): each.inputs for each in recorder.resources}
    for record in recorder.state.all():
        inputs = declared.get((record.type, record.urn.rpartition("::")[2]), record.inputs)
        if any(name.lower().endswith("name") for name in record.inputs.keys() - inputs.keys()):
            yield record.type


def walk_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from walk_texts(item)


@pytest.mark.slow
def test_every_name_in_a_stack_comes_from_its_naming(declared: DeclaredNames) -> None:
    """No resource has the organization in its name without the stack, so the other tests cover all names."""
    assert len(declared.texts) > 10
    known = (declared.naming.prefix, *declared.naming.names_of(declared.naming))
    assert [text for text in declared.texts if not text.startswith(known)] == []


@pytest.mark.slow
def test_the_program_names_every_resource_and_gives_node_groups_a_prefix(declared: DeclaredNames) -> None:
    """A name that the provider generates contains only the logical name, which is the same in every stack."""
    assert declared.generated == {"azure": set(), "aws": {"aws:eks/nodeGroup:NodeGroup"}}[declared.cloud]


@pytest.mark.slow
def test_no_two_stacks_have_a_name_in_common(declared: DeclaredNames) -> None:
    names = {stack: declared.naming.names_of(naming(declared.cloud, stack)) for stack in STACKS}
    # Two limits can result in the same name if it is short, and in different ones if it has to be shortened.
    assert all(len(each) >= len(declared.naming.names_of(declared.naming)) > 15 for each in names.values())
    shared = {(one, two): names[one] & names[two] for one, two in combinations(STACKS, 2) if names[one] & names[two]}
    assert shared == {}


@pytest.mark.slow
def test_global_names_differ_by_region_and_organization(declared: DeclaredNames) -> None:
    """Two accounts can have stacks of the same name."""
    elsewhere = {"azure": "northeurope", "aws": "eu-central-1"}[declared.cloud]
    here = stack_context(declared.cloud).naming
    for other in (naming(declared.cloud, location=elsewhere), naming(declared.cloud, organization="acmegw")):
        for suffix in declared.naming.unique:
            assert here.global_name(suffix, limit=200) != other.global_name(suffix, limit=200)
        for suffix, limit in declared.naming.words:
            assert here.global_word(suffix, limit=limit) != other.global_word(suffix, limit=limit)


@pytest.mark.slow
def test_no_pattern_of_a_stack_matches_a_name_of_another(declared: DeclaredNames) -> None:
    """Policies of AWS contain patterns, such as the training jobs that a role may start."""
    patterns = [text for text in declared.texts if "*" in text]
    assert bool(patterns) == (declared.cloud == "aws")
    for stack in set(STACKS) - {f"{declared.cloud}-dev"}:
        other = naming(declared.cloud, stack)
        names = {*declared.naming.names_of(other), f"{other.regional_name('training')}-job"}
        assert [name for name in names for pattern in patterns if fnmatchcase(name, pattern)] == []
