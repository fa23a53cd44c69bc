"""Properties that nobody intends to write, such as a number for a list or an empty mapping for a name.

Proves with each control's own cases, in which every value in turn is replaced by every odd one, that no control raises
an error, and that a wrong shape or an empty value never passes if an absent value fails. Also proves that a control
which does raise an error is a violation, not a pass. All cases are tried once, which takes seconds.
Does not prove that every odd value of the right shape is rejected: clouds and the API server reject most of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import pytest

from kernel.values import UNKNOWN
from policies import Control, Undecided, controls
from policies.engine.stack import Resource
from tests.support.policies.cases import UNKNOWN_TEXT, Subject
from tests.unit.policies.controls.test_controls import TABLE

pytestmark = pytest.mark.slow

EMPTY_OR_MISSHAPEN: Final[tuple[Any, ...]] = ("", [], {}, [[]], ["x"], {"a": None})
ODD: Final[tuple[Any, ...]] = (
    *EMPTY_OR_MISSHAPEN,
    *(None, 0, -1, 3.5, 1e308, float("nan"), True, False, "x", "\x00*", "*", [None], [7], {"a": [{}]}, UNKNOWN),
)
AT_LEAST = 100_000
Path = tuple[Any, ...]
Evaluate = Callable[[list[Resource]], str]

# An odd value here turns the resource into something else: not a subnet, not a rule for incoming traffic, one named
# secret, or all pods.
MEANS_SOMETHING_ELSE: Final = {
    ("aws-eks-node-ssh", "sourceSecurityGroupIds"),
    ("aws-vpc-admin-ports", "type"),
    ("aws-rds-log-exports", "enabledCloudwatchLogsExports"),
    ("azure-alert-receivers", "actionGroups"),
    ("k8s-rbac-certificates", "resourceNames"),
    ("k8s-rbac-secrets", "resourceNames"),
    ("k8s-rbac-webhooks", "resourceNames"),
    ("azure-network-subnet-security-group", "addressSpace"),
    ("azure-network-default-outbound", "addressSpace"),
    ("aws-vpc-internet-ports", "type"),
    ("k8s-ingress-tls", "secretName"),
    ("k8s-network-policy-open", "podSelector"),
    ("k8s-network-policy-open", "namespaceSelector"),
}


def resources(subject: Subject) -> list[Resource]:
    return [
        Resource(
            each.type, each.name, f"urn:{each.name}", plain(each.props), {k: [f"urn:{v}"] for k, v in each.refs.items()}
        )
        for each in subject
    ]


def plain(value: Any) -> Any:
    """A case's properties as controls read them."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return UNKNOWN if isinstance(value, str) and value == UNKNOWN_TEXT else value


def paths(value: Any, here: Path = ()) -> Iterator[Path]:
    if here:
        yield here
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from paths(value[key], (*here, key))


def changes(subject: list[Resource]) -> Iterator[tuple[Path, Any]]:
    """The path of each value of a case's resources, and the mapping or list that holds it."""
    for resource in subject:
        for path in list(paths(resource.props)):
            holder: Any = resource.props
            for step in path[:-1]:
                holder = holder[step]
            yield path, holder


@dataclass(frozen=True)
class Trial:
    """A control's outcome for each odd value at one place of a case, in the order of ODD."""

    control: Control
    path: Path
    is_compliant: bool
    outcomes: Sequence[str]

    def describe(self, values: Iterable[Any], beginning: str) -> Iterator[str]:
        """Lines about the odd values whose outcome begins with `beginning`."""
        for odd, outcome in zip(values, self.outcomes, strict=False):
            if outcome.startswith(beginning):
                yield f"{self.control.id}: {self.path} = {odd!r}: {outcome}"


@cache
def try_all() -> Sequence[Trial]:
    return [trial for control in controls() for trial in try_control(control)]


def try_control(control: Control) -> Iterator[Trial]:
    evaluate, cases = prepare_evaluation(control), TABLE[control.id]
    for is_compliant, subjects in ((True, cases.compliant), (False, cases.violating)):
        for subject in list_different(control, map(resources, subjects)):
            for path, holder in changes(subject):
                yield Trial(control, path, is_compliant, try_odd_values(evaluate, subject, holder, path[-1]))


def list_different(control: Control, subjects: Iterable[list[Resource]]) -> Iterable[list[Resource]]:
    """Cases without duplicates: to a control of properties, a Deployment and a Job with the same ones are one case."""
    return subjects if control.over_stack else {repr(subject[0].props): subject for subject in subjects}.values()


def try_odd_values(evaluate: Evaluate, subject: list[Resource], holder: Any, key: Any) -> list[str]:
    value, outcomes = holder[key], []
    for odd in ODD:
        holder[key] = odd
        try:
            outcomes.append(evaluate(subject))
        except Exception as error:
            outcomes.append(f"raises {type(error).__name__}: {error}")
    holder[key] = value
    return outcomes


def prepare_evaluation(control: Control) -> Evaluate:
    """Calls the control's own function, because `Control.evaluate` would report its errors as violations."""
    defaults = {name: setting.default for name, setting in control.settings.items()}
    settings = [{**defaults, **TABLE[control.id].settings}] if defaults else []

    def evaluate(subject: list[Resource]) -> str:
        if control.over_stack:
            findings = [finding for _, finding in control.function(subject, *settings)]
        else:
            findings = list(control.function(subject[0].props, *settings))
        if not findings:
            return "passes"
        return "undecided" if all(isinstance(finding, Undecided) for finding in findings) else "fails"

    return evaluate


def test_no_control_raises() -> None:
    assert [line for trial in try_all() for line in trial.describe(ODD, "raises")] == []


def test_there_are_many_odd_inputs() -> None:
    assert len(try_all()) * len(ODD) >= AT_LEAST


def test_an_odd_value_never_passes_if_an_absent_one_fails() -> None:
    absent = ODD.index(None)
    trials = [trial for trial in try_all() if trial.is_compliant and trial.outcomes[absent] == "fails"]
    assert len({trial.control.id for trial in trials}) > 100
    meant = [trial for trial in trials if (trial.control.id, trial.path[-1]) not in MEANS_SOMETHING_ELSE]
    assert [line for trial in meant for line in trial.describe(EMPTY_OR_MISSHAPEN, "passes")] == []


def test_a_control_that_raises_an_error_reports_a_violation() -> None:
    def raise_(*_: Any) -> Iterator[Any]:
        raise TypeError("'<=' not supported between a secret and 7")

    broken = replace(controls()[0], function=raise_, settings={})
    [finding] = broken.evaluate({})
    assert "TypeError" in str(finding)
    assert "secret" not in str(finding)
    over_stack = next(control for control in controls() if control.over_stack)
    resource = Resource(over_stack.types[0], "it", "urn:it", {})
    assert [found for found, _ in replace(over_stack, function=raise_).evaluate_stack([resource])] == [resource]
