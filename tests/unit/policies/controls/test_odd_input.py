"""Properties that nobody means to write, such as a number for a list or an empty mapping for a name.

Proves with each control's own cases, in which every value in turn is replaced by every odd one, that no control raises,
and that a wrong shape or an empty value never passes where an absent value fails. Proves too that a control which does
raise is a violation, not a pass.
Does not prove that every odd value of the right shape is refused: clouds and the API server refuse most of them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest

from kernel.values import UNKNOWN
from policies import Control, Undecided, controls
from policies.engine.stack import Resource
from tests.support.policies.cases import UNKNOWN_TEXT, Subject
from tests.unit.policies.controls.test_controls import EVERY_CONTROL, TABLE

EMPTY_OR_MISSHAPEN: Final[tuple[Any, ...]] = ("", [], {}, [[]], ["x"], {"a": None})
ODD: Final[tuple[Any, ...]] = (
    *EMPTY_OR_MISSHAPEN,
    *(None, 0, -1, 3.5, 1e308, float("nan"), True, False, "x", "\x00*", "*", [None], [7], {"a": [{}]}, UNKNOWN),
)
AT_LEAST = 100_000
Path = tuple[Any, ...]

# An odd value here makes another thing of the resource: no subnet, no rule for incoming traffic, one named secret, or
# all pods.
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


def put(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = put(value[path[0]], path[1:], new)
    return changed


def changes(subject: list[Resource]) -> Iterator[tuple[int, Path]]:
    for index, resource in enumerate(subject):
        yield from ((index, path) for path in paths(resource.props))


def change(subject: list[Resource], index: int, path: Path, value: Any) -> list[Resource]:
    changed = replace(subject[index], props=put(subject[index].props, path, value))
    return [*subject[:index], changed, *subject[index + 1 :]]


def judge(control: Control, subject: list[Resource]) -> str:
    """The outcome of the control's own function, whose exceptions `Control.evaluate` would report as violations."""
    defaults = {name: setting.default for name, setting in control.settings.items()}
    settings = [{**defaults, **TABLE[control.id].settings}] if defaults else []
    if control.over_stack:
        findings = [finding for _, finding in control.function(subject, *settings)]
    else:
        findings = list(control.function(subject[0].props, *settings))
    if not findings:
        return "passes"
    return "undecided" if all(isinstance(finding, Undecided) for finding in findings) else "fails"


@pytest.mark.parametrize("control", EVERY_CONTROL)
def test_no_control_raises(control: Control) -> None:
    for subject in map(resources, (*TABLE[control.id].compliant, *TABLE[control.id].violating)):
        for index, path in changes(subject):
            for odd in ODD:
                judge(control, change(subject, index, path, odd))


def test_there_are_many_odd_inputs() -> None:
    subjects = (
        resources(subject)
        for control in controls()
        for subject in (*TABLE[control.id].compliant, *TABLE[control.id].violating)
    )
    assert sum(len(list(changes(subject))) * len(ODD) for subject in subjects) >= AT_LEAST


@pytest.mark.parametrize("control", EVERY_CONTROL)
def test_an_odd_value_passes_nowhere_that_an_absent_one_fails(control: Control) -> None:
    for subject in map(resources, TABLE[control.id].compliant):
        for index, path in changes(subject):
            if (control.id, path[-1]) in MEANS_SOMETHING_ELSE:
                continue
            if judge(control, change(subject, index, path, None)) == "fails":
                passed = [
                    odd for odd in EMPTY_OR_MISSHAPEN if judge(control, change(subject, index, path, odd)) == "passes"
                ]
                assert passed == [], path


def test_a_control_that_raises_finds_a_violation() -> None:
    def raise_(*_: Any) -> Iterator[Any]:
        raise TypeError("'<=' not supported between a secret and 7")

    broken = replace(controls()[0], function=raise_, settings={})
    [finding] = broken.evaluate({})
    assert "TypeError" in str(finding)
    assert "secret" not in str(finding)
    over_stack = next(control for control in controls() if control.over_stack)
    resource = Resource(over_stack.types[0], "it", "urn:it", {})
    assert [found for found, _ in replace(over_stack, function=raise_).evaluate_stack([resource])] == [resource]
