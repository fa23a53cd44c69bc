"""Every control has five kinds of cases: compliant, violating, absent, unknown, and a type that it does not apply to.

Proves that each control decides its cases as expected when evaluated through the SDK's analyzer, that its level
matches its severity, that messages have ID, severity and remedy, and that they do not repeat values of properties.
Does not prove that clouds behave as the controls assume, nor that the properties' names are those of the SDKs:
`test_property_names` checks the latter.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from pulumi.runtime import proto

from policies import Control, controls
from policies.engine.type_names import canonical_type
from tests.support.every_case import check_every
from tests.support.policies import (
    aws_account_cases,
    aws_cases,
    aws_exposure_cases,
    aws_service_cases,
    azure_cases,
    azure_cluster_cases,
    azure_store_cases,
    cluster_object_cases,
    further_aws_cases,
    inference_service_cases,
    kubernetes_cases,
    pod_security_cases,
    rbac_cases,
    settings_cases,
    workload_cases,
)
from tests.support.policies.analyzer import diagnostics, is_violation, outcome
from tests.support.policies.cases import Cases, Subject, with_type
from tests.support.policies.further_cases import add_further

TABLE: dict[str, Cases] = add_further(
    {
        **azure_cases.CASES,
        **azure_cluster_cases.CASES,
        **azure_store_cases.CASES,
        **aws_cases.CASES,
        **aws_exposure_cases.CASES,
        **aws_service_cases.CASES,
        **aws_account_cases.CASES,
        **kubernetes_cases.CASES,
        **pod_security_cases.CASES,
        **rbac_cases.CASES,
        **workload_cases.CASES,
        **cluster_object_cases.CASES,
        **further_aws_cases.CASES,
        **inference_service_cases.CASES,
        **settings_cases.CASES,
    }
)


def check_controls(check: Callable[[Control], None]) -> None:
    check_every(controls(), check, lambda control: control.id)


# Values in the clouds' APIs that are also ordinary words.
PROSE = {"Internet", "internal", "secrets"}


def find_cases(control: Control) -> Cases:
    """The cases of a control; fails if it has none."""
    assert control.id in TABLE, (
        f"the control '{control.id}' has no cases: add them to CASES in tests/support/policies/<cloud>_cases.py"
    )
    return TABLE[control.id]


def test_every_case_belongs_to_a_control() -> None:
    left_over = set(TABLE) - {control.id for control in controls()}
    assert left_over == set(), "cases of controls that do not exist"


def test_every_kind_of_case_is_present() -> None:
    check_controls(_check_kinds)


def _check_kinds(control: Control) -> None:
    cases = find_cases(control)
    assert cases.compliant
    assert cases.violating
    assert cases.absent[0] in ("passes", "fails")
    assert cases.unknown[0] in ("passes", "undecided")
    assert all(not control.applies_to(resource.type) for resource in cases.other_type[:1])


def test_every_type_of_a_control_has_a_violating_case() -> None:
    """A type without one may be misspelt, and would then always be compliant."""
    check_controls(_check_types)


def _check_types(control: Control) -> None:
    violating = {canonical_type(subject[0].type) for subject in find_cases(control).violating}
    assert set(control.types) <= violating


def test_outcome_and_messages() -> None:
    check_controls(_check_outcomes)


def _check_outcomes(control: Control) -> None:
    cases = find_cases(control)
    for name, expected, subject in cases.expectations():
        found = diagnostics(control.id, subject, cases.settings)
        assert outcome(found) == expected, f"{name}: {subject}: {[each.message for each in found]}"
        for each in found:
            if is_violation(each):
                _assert_complete(control, subject, each)
            if expected == "fails":
                _assert_repeats_no_value(control, subject, each)


def _assert_complete(control: Control, subject: Subject, violation: Any) -> None:
    assert violation.policyName == control.id
    assert f"[{control.severity}] {control.id}: " in violation.message
    assert violation.message.endswith(f"Remedy: {control.remedy}")
    assert violation.enforcementLevel == (proto.ADVISORY if control.severity == "low" else proto.MANDATORY)
    assert violation.severity == proto.PolicySeverity.Value(f"POLICY_SEVERITY_{control.severity.upper()}")
    if control.over_stack:
        assert violation.urn.rpartition("::")[2] in {resource.name for resource in subject}


def _assert_repeats_no_value(control: Control, subject: Subject, diagnostic: Any) -> None:
    problem = diagnostic.message.partition(f"{control.id}: ")[2].removesuffix(control.remedy)
    for value in _values(subject):
        is_repeated = re.search(rf"(?<!\w){re.escape(value)}(?!\w)", problem)
        assert value in PROSE or not is_repeated, f"{diagnostic.message} repeats '{value}'"


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
    control_id = "azure-storage-anonymous-blobs"
    subject = with_type(TABLE[control_id].violating[0], spelling)
    assert outcome(diagnostics(control_id, subject)) == "fails"


def _values(subject: Subject) -> Iterator[str]:
    """Every string in the properties that is long enough to be distinguished from prose, except names."""

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
