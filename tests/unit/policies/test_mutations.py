"""The platform's own resources, each broken on purpose.

Proves for each control over single resources that it reports a resource of the platform that passed before its
properties were changed to those of one of the control's violating cases, and that no other control reports the change
except those that are declared to overlap. Prints how many changes were found, and which controls had no resource to
break.
Does not prove anything about controls over whole stacks, whose cases are in `controls`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import pytest

from policies import Control, Finding, Undecided, controls
from policies.engine.type_names import canonical_type
from tests.support.every_case import check_every
from tests.support.policies.cases import Declared
from tests.support.recording import RecordedResource
from tests.support.sample_foundations import record_foundation
from tests.support.sample_platform import record_platform
from tests.unit.policies.controls.test_controls import find_cases
from tests.unit.policies.controls.test_odd_input import plain

pytestmark = pytest.mark.slow

# A change that breaks one of them breaks the others: a wildcard in actions, verbs or resources covers all of them.
_IAM: Final = frozenset({"aws-iam-escalation", "aws-iam-kms-decrypt", "aws-iam-pass-role", "aws-iam-service-wildcard"})
_RBAC: Final = frozenset(
    {
        "k8s-rbac-escalation",
        "k8s-rbac-exec",
        "k8s-rbac-persistent-volumes",
        "k8s-rbac-secrets",
        "k8s-rbac-wildcard-resource",
        "k8s-rbac-wildcard-verb",
    }
)
# A pool, subnet or rule that a case adds lacks the settings that other controls require.
_POOLS: Final = frozenset(
    f"azure-aks-node-{what}" for what in ("autoscaling", "encryption", "pods", "ssh", "surge", "zones")
)
_SUBNETS: Final = frozenset({"azure-network-default-outbound", "azure-network-subnet-security-group"})
_DESCRIBED: Final = frozenset({"aws-vpc-group-description"})
_IMAGES: Final = frozenset({"k8s-pod-image-digest", "k8s-pod-image-tag"})
OVERLAPS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(_IAM, _IAM),
    **dict.fromkeys(_RBAC, _RBAC),
    **dict.fromkeys(_SUBNETS, _SUBNETS),
    # An image without a version has no digest either.
    **dict.fromkeys(_IMAGES, _IMAGES),
    **dict.fromkeys(("aws-vpc-admin-ports", "aws-vpc-internet-ports", "aws-vpc-open-egress"), _DESCRIBED),
    # A case has only one of the two probes.
    "k8s-pod-host-probes": frozenset({"k8s-pod-probes"}),
    "azure-aks-node-public-ip": _POOLS,
    # A case is compute of another kind, which must shut down when idle.
    "azure-ml-node-public-ip": frozenset({"azure-ml-compute-idle-shutdown"}),
    # A case opens two ports, and each control reports one.
    "azure-network-admin-ports": frozenset({"azure-network-internet-ports"}),
}


@cache
def list_resources() -> tuple[RecordedResource, ...]:
    """The resources that both foundations and the platform declare in production."""
    alerts: Any = {"telemetry": {"alertEmail": "ml@example.com"}, "cost": {"monthlyBudget": 5000}}
    images = dict.fromkeys(("drift", "experiment", "promotion", "training"), f"sha256:{'a' * 64}")
    found: list[RecordedResource] = []
    for cloud in ("azure", "aws"):
        found += record_foundation(cloud, "prod", **alerts).recorder.resources
        found += record_platform("prod", cloud, images=images).resources
    return tuple(found)


def list_violated(resource_type: str, props: Mapping[str, Any]) -> set[str]:
    return {
        control.id
        for control in controls()
        if not control.over_stack
        and control.applies_to(resource_type)
        and any(not isinstance(finding, Undecided) for finding in evaluate(control, props))
    }


def evaluate(control: Control, props: Mapping[str, Any]) -> list[Finding]:
    """A control's findings with the settings of its cases."""
    return control.evaluate(props, find_cases(control).settings)


def break_resource(control: Control, properties: Mapping[str, Any], broken: Mapping[str, Any]) -> Any:
    """Properties without those of compliant cases, and with those of a violating case."""
    for [subject, *_] in find_cases(control).compliant:
        properties = without(properties, subject.props)
    return merge(properties, broken)


def without(properties: Any, removed: Any) -> Any:
    """Properties without the leaves of others, except names, which identify something and do not affect compliance."""
    if isinstance(properties, list) and isinstance(removed, list) and all(isinstance(each, dict) for each in removed):
        return [without(each, removed[0]) for each in properties] if removed else properties
    if not isinstance(properties, Mapping) or not isinstance(removed, Mapping):
        return properties
    nested = {
        key: without(value, removed[key])
        for key, value in properties.items()
        if isinstance(removed.get(key), dict | list)
    }
    return {**{key: value for key, value in properties.items() if key not in removed or key == "name"}, **nested}


def merge(properties: Any, broken: Any) -> Any:
    """Properties overridden by those of a case; in a list of mappings, only the first is changed."""
    if isinstance(properties, Mapping) and isinstance(broken, Mapping):
        return {**properties, **{key: merge(properties.get(key), value) for key, value in broken.items()}}
    if isinstance(properties, list) and isinstance(broken, list) and _begins_alike(properties, broken):
        return [merge(properties[0], broken[0]), *broken[1:], *properties[1:]]
    return broken


def _begins_alike(*lists: list[Any]) -> bool:
    """Whether all lists begin with a mapping that is not empty; an empty one in a case is a violation itself."""
    return all(each and isinstance(each[0], Mapping) and each[0] for each in lists)


def mutations(control: Control) -> Iterator[tuple[RecordedResource, Declared]]:
    """Each violating case of a control, with a passing resource of the platform of the same type.

    An additional container would break other controls too, so such cases are tested only in `controls`.
    """
    for subject in find_cases(control).violating:
        if any(name in repr(subject[0].props) for name in ("initContainers", "ephemeralContainers")):
            continue
        same_type = (each for each in list_resources() if canonical_type(each.type) == canonical_type(subject[0].type))
        passing = (each for each in same_type if not evaluate(control, each.inputs))
        resource = next(passing, None)
        if resource is not None:
            yield resource, subject[0]


SINGLE = [control for control in controls() if not control.over_stack]


def test_a_broken_resource_is_reported_only_by_its_control() -> None:
    check_every(SINGLE, _break_resources, lambda control: control.id)


def _break_resources(control: Control) -> None:
    for resource, case in mutations(control):
        before = list_violated(resource.type, resource.inputs)
        after = list_violated(resource.type, break_resource(control, resource.inputs, plain(case.props))) - before
        assert control.id in after, (resource.name, case)
        assert after - {control.id} <= OVERLAPS.get(control.id, frozenset()), (resource.name, case)


def test_most_controls_have_a_resource_to_break() -> None:
    counts = {control.id: len(list(mutations(control))) for control in SINGLE}
    without = sorted(name for name, count in counts.items() if count == 0)
    print(f"{sum(counts.values())} changes of {len(counts) - len(without)} controls; no resource for {without}")
    assert len(without) < len(counts) / 7
