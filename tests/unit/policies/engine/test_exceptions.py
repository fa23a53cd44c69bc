"""Reviewed exceptions: they exempt one resource from one control for a limited time.

Proves through the analyzer's protocol that an exception exempts nothing else, and that a malformed file is rejected.
Whether the exceptions in force are wise is a matter of review.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from policies import ReviewedException, load_exceptions
from tests.support.policies.analyzer import violations
from tests.support.policies.cases import Declared

CONTROL = "k8s-namespace-pod-security"
NAMESPACE = "kubernetes:core/v1:Namespace"
TODAY = datetime.now(UTC).date()


def exception(expires: date = TODAY, control: str = CONTROL, resource: str = "host") -> ReviewedException:
    return ReviewedException(control, resource, "it reads the host", expires)


def open_namespace(name: str = "host") -> Declared:
    return Declared(NAMESPACE, {"metadata": {"name": name}}, name)


def test_without_an_exception_the_control_reports() -> None:
    assert violations(CONTROL, [open_namespace()])


def test_an_exception_holds_to_the_end_of_its_last_day() -> None:
    assert violations(CONTROL, [open_namespace()], [exception(TODAY)]) == []
    assert violations(CONTROL, [open_namespace()], [exception(TODAY - timedelta(days=1))])


def test_an_exception_covers_no_other_resource_and_no_other_control() -> None:
    assert violations(CONTROL, [open_namespace("other")], [exception()])
    assert violations(CONTROL, [open_namespace()], [exception(control="k8s-namespace-network-policy")])


def test_an_exception_from_a_stack_control_covers_one_resource_only() -> None:
    control = "k8s-namespace-network-policy"
    stack = [open_namespace("host"), open_namespace("other")]
    assert len(violations(control, stack)) == 2
    (violation,) = violations(control, stack, [exception(control=control)])
    assert "other" in violation


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("chart/ClusterRole/reader", True),
        ("chart/ClusterRole/*", True),
        ("chart/*/reader", True),
        ("*", False),
        ("chart/*", False),
        ("*/reader", False),
        ("chart/ClusterRole/read", False),
        ("Chart/ClusterRole/*", False),
    ],
)
def test_a_star_does_not_match_a_slash(pattern: str, matches: bool) -> None:
    assert exception(resource=pattern).matches("chart/ClusterRole/reader") is matches


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("- just text", "is not an entry with control, resource, owner, reason, expires"),
        (f"- {{control: {CONTROL}, resource: x, owner: me, expires: 2030-01-01}}", "needs 'reason'"),
        (f"- {{control: {CONTROL}, resource: x, owner: me, reason: '', expires: 2030-01-01}}", "needs 'reason'"),
        (
            f"- {{control: {CONTROL}, resource: x, owner: me, reason: y, expires: soon}}",
            "needs 'expires', a day such as",
        ),
        (
            f"- {{control: {CONTROL}, resource: x, owner: me, reason: y, expires: 2030-01-01 10:00:00}}",
            "needs 'expires', a day",
        ),
        (
            f"- {{control: {CONTROL}, resource: x, owner: me, reason: y, expires: 2030-02-30}}",
            "has a value that cannot be read:",
        ),
        (
            f"- {{control: {CONTROL}, resource: x, owner: me, reason: y, expires: 2030-01-01, 1: 2, a: b}}",
            "unknown field '1'",
        ),
        (f"control: {CONTROL}", "must be a list of entries with control, resource, owner, reason, expires"),
        ("just text", "must be a list"),
        ("- control: x\n   resource: y", r"line 2, column 12: this is not YAML: .* Indent this line"),
        ("- control: !x y", "has a value that cannot be read"),
        (
            f"- {{control: {CONTROL}, resource: x, owner: me, reason: y, expires: 2030-01-01, by: me}}",
            "unknown field 'by'",
        ),
        (
            "- {control: k8s-nonsense, resource: x, owner: me, reason: y, expires: 2030-01-01}",
            "does not name a control",
        ),
    ],
)
def test_a_malformed_exception_is_rejected(tmp_path: Path, entry: str, message: str) -> None:
    file = tmp_path / "exceptions.yaml"
    file.write_text(entry)
    with pytest.raises(ValueError, match=message):
        load_exceptions(file)


def test_the_projects_own_exceptions_are_valid_and_have_not_expired() -> None:
    expired = [exception for exception in load_exceptions() if exception.expires < TODAY]
    assert expired == []
