"""Resources that no control evaluates are reported.

Proves that each type that the platform declares is evaluated or listed with a reason, that every pattern of the list is
needed and none hides a type with a control, and that a run reports all other resources with their number.
Does not prove that the reasons are good: they are reviewed.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from policies import controls
from policies.engine.unevaluated import describe_unevaluated, is_evaluated, is_listed, list_patterns
from tests.support.sample_platform import record_platform

NAMES = Path(__file__).parents[1] / "infra" / "logical_names"
# Declared only by stacks with Karpenter, with a repository for GitOps, or with Cilium as the network's engine.
OPTIONAL = ("kubernetes:karpenter", "kubernetes:argoproj.io", "kubernetes:cilium.io")
PROVIDERS = ("aws:", "azure-native:", "kubernetes:")


@pytest.fixture(scope="module")
def declared() -> set[str]:
    """The types of both foundations, and of the objects deployed into their clusters."""
    types = {line.split()[0] for file in NAMES.glob("*.txt") for line in file.read_text().splitlines() if line}
    for cloud in ("aws", "azure"):
        types |= {resource.type for resource in record_platform("prod", cloud).resources}
    return {type_ for type_ in types if type_.startswith(PROVIDERS)}


@pytest.mark.slow
def test_each_declared_type_is_evaluated_or_listed(declared: set[str]) -> None:
    assert len(declared) > 80
    assert {type_ for type_ in declared if not is_evaluated(type_) and not is_listed(type_)} == set()


@pytest.mark.slow
def test_each_listed_pattern_is_needed(declared: set[str]) -> None:
    unevaluated = {type_ for type_ in declared if not is_evaluated(type_)}
    patterns = {pattern for pattern, _ in list_patterns() if not pattern.startswith(OPTIONAL)}
    assert {pattern for pattern in patterns if not any(fnmatchcase(type_, pattern) for type_ in unevaluated)} == set()


def test_no_type_is_both_evaluated_and_listed() -> None:
    evaluated = {type_ for control in controls() for type_ in control.types}
    assert evaluated & {pattern for pattern, _ in list_patterns()} == set()


def test_a_run_lists_types_that_no_control_evaluates() -> None:
    types = ["aws:mq/broker:Broker", "aws:mq/broker:Broker", "aws:s3/bucket:Bucket", "pulumi:pulumi:Stack", "acme:App"]
    message = describe_unevaluated([*types, "azure:core/resourceGroup:ResourceGroup"])
    assert "3 resources" in message
    assert "aws:mq/broker:Broker (2), azure:core/resourceGroup:ResourceGroup (1)." in message
    assert "not the classic provider" in message
    assert "Bucket:" not in message
    assert describe_unevaluated(["aws:s3/bucket:Bucket", "aws:kms/alias:Alias"]) == ""


def test_the_length_of_a_message_is_limited() -> None:
    message = describe_unevaluated(f"aws:new/type{number}:Type{number}" for number in range(100))
    assert "88 more types" in message
    assert len(message) < 1_000
