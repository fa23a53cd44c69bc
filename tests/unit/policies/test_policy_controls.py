"""Every control answers five questions: compliant, violating, absent, unknown, and a type it does not judge.

Proves that each control decides its cases as its table says when asked through the SDK's analyzer, that its level
follows its severity, that messages carry id, severity and remedy, and that they repeat no property's value.
Does not prove that clouds behave as the controls assume, nor that the properties' names are those of the SDKs:
`test_policy_property_names` looks at the latter.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pulumi.runtime import proto

from policies.control import REGISTRY, Control, canonical
from policies.services import controls
from tests.unit.policies import cases_aws, cases_aws_account, cases_azure, cases_kubernetes
from tests.unit.policies.harness import Cases, Outcome, Subject, diagnostics, outcome, retyped

TABLE: dict[str, Cases] = {**cases_azure.CASES, **cases_aws.CASES, **cases_aws_account.CASES, **cases_kubernetes.CASES}
CONTROLS = {control.id: control for control in controls()}

QUESTIONS = [
    pytest.param(control_id, expected, subject, id=f"{control_id}-{question}")
    for control_id, cases in TABLE.items()
    for question, expected, subject in cases.expectations()
]
VIOLATIONS = [
    pytest.param(control_id, subject, id=f"{control_id}-{index}")
    for control_id, cases in TABLE.items()
    for index, subject in enumerate(cases.violating)
]

# Words of the clouds' interfaces that are plain English too.
PROSE = {"Internet", "secrets"}


def test_every_control_has_cases_and_every_case_a_control() -> None:
    assert set(TABLE) == set(CONTROLS)


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_no_question_is_left_out(control: Control) -> None:
    cases = TABLE[control.id]
    assert cases.compliant
    assert cases.violating
    assert cases.absent[0] in ("passes", "fails")
    assert cases.unknown[0] in ("passes", "undecided")
    assert all(not control.applies_to(resource.type) for resource in cases.other_type[:1])


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_every_type_of_a_control_is_seen_failing(control: Control) -> None:
    """A type that no violation is ever found in may be misspelt, and then looks compliant for ever."""
    seen = {canonical(subject[0].type) for subject in TABLE[control.id].violating}
    assert set(control.types) <= seen


@pytest.mark.parametrize(("control_id", "expected", "subject"), QUESTIONS)
def test_answer(control_id: str, expected: Outcome, subject: Subject) -> None:
    assert outcome(control_id, subject) == expected


@pytest.mark.parametrize(("control_id", "subject"), VIOLATIONS)
def test_violation_is_told_in_full_and_at_its_level(control_id: str, subject: Subject) -> None:
    control = REGISTRY[control_id]
    level = proto.ADVISORY if control.severity == "low" else proto.MANDATORY
    told = [each for each in diagnostics(control_id, subject) if "Remedy: " in each.message]
    for each in told:
        assert each.policyName == control_id
        assert f"[{control.severity}] {control_id}: " in each.message
        assert each.message.endswith(f"Remedy: {control.remedy}")
        assert each.enforcementLevel == level
        assert each.severity == proto.PolicySeverity.Value(f"POLICY_SEVERITY_{control.severity.upper()}")
        if control.over_stack:
            assert each.urn.endswith(f"::{subject[0].name}")


@pytest.mark.parametrize(("control_id", "subject"), VIOLATIONS)
def test_violation_repeats_no_value(control_id: str, subject: Subject) -> None:
    control = REGISTRY[control_id]
    for each in diagnostics(control_id, subject):
        said = each.message.partition(f"{control_id}: ")[2].removesuffix(control.remedy)
        for value in _values(subject):
            assert value in PROSE or value not in said


@pytest.mark.parametrize(
    "spelling",
    [
        "azure-native:storage:StorageAccount",
        "azure-native:storage/v20240101:StorageAccount",
        "azure-native:storage/v20230501preview:StorageAccount",
        "azure-native_storage_v20240101:storage:StorageAccount",
    ],
)
def test_azure_api_versions_make_no_difference(spelling: str) -> None:
    cases = TABLE["azure-storage-anonymous-blobs"]
    assert outcome("azure-storage-anonymous-blobs", retyped(cases.violating[0], spelling)) == "fails"


def _values(subject: Subject) -> Iterator[str]:
    """Every text in the properties that is long enough to be told from prose, names apart."""

    def walk(tree: Any, key: str = "") -> Iterator[str]:
        if isinstance(tree, Mapping):
            for child, value in tree.items():
                yield from walk(value, child)
        elif isinstance(tree, list):
            for item in tree:
                yield from walk(item, key)
        elif isinstance(tree, str) and len(tree) >= 6 and key not in ("name", "namespace"):
            yield tree

    for resource in subject:
        yield from walk(resource.props)
