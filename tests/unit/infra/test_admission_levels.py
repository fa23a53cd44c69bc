"""Where the admission rules apply.

Proves that each namespace of the platform has a level in which they apply, that a rule which leaves a level out is
listed here with the reason, and that namespaces with more permissions are those of the policy pack's exceptions.

Does not prove how the API server evaluates the rules: tests/cluster/test_admission.py has a real one.
"""

from __future__ import annotations

import pytest

from infra.cluster.admission import build_binding_spec
from infra.cluster.admission_rules import (
    CLOUD_NAMESPACES,
    LEVEL_LABEL,
    LEVELS,
    NAMESPACE_REGISTRIES,
    PRIVILEGED_NAMESPACES,
    RULES,
)
from infra.cluster.namespaces import (
    CONTROLLER_PROFILE,
    DEVICE_PLUGIN,
    DEVICE_PLUGIN_PROFILE,
    PIPELINES_PROFILES,
    PROFILES,
)
from policies import load_exceptions

EVERY_PROFILE = {
    **PROFILES,
    **PIPELINES_PROFILES,
    DEVICE_PLUGIN: DEVICE_PLUGIN_PROFILE,
    "karpenter": CONTROLLER_PROFILE,
}
# Runs of Kubeflow Pipelines have containers that write to their own filesystem.
LEFT_OUT = {("k8s-pod-read-only-root", "baseline")}


def test_every_rule_applies_in_every_namespace_of_the_platform() -> None:
    assert {profile.level for profile in EVERY_PROFILE.values()} == set(LEVELS)
    namespaced = {control: rule for control, rule in RULES.items() if control != "k8s-namespace-pod-security"}
    left_out = {(control, level) for control, rule in namespaced.items() for level in set(LEVELS) - set(rule.levels)}
    assert left_out == LEFT_OUT


@pytest.mark.parametrize("control", RULES)
def test_a_binding_selects_the_levels_of_its_rule(control: str) -> None:
    binding = build_binding_spec(control)
    if control == "k8s-namespace-pod-security":
        assert "matchResources" not in binding
    else:
        [selected] = binding["matchResources"]["namespaceSelector"]["matchExpressions"]
        assert selected == {"key": LEVEL_LABEL, "operator": "In", "values": list(RULES[control].levels)}


def test_privileged_namespaces_are_those_of_the_exceptions() -> None:
    excepted = {each.resource for each in load_exceptions() if each.control == "k8s-namespace-pod-security"}
    assert set(PRIVILEGED_NAMESPACES) == excepted
    assert excepted == {name for name, profile in EVERY_PROFILE.items() if profile.level == "privileged"}
    assert not set(CLOUD_NAMESPACES) & set(EVERY_PROFILE)


def test_further_registries_are_those_of_namespaces_with_an_exception() -> None:
    excepted = {each.resource for each in load_exceptions() if each.control == "k8s-pod-image-registry"}
    for namespace in NAMESPACE_REGISTRIES:
        assert namespace in EVERY_PROFILE
        assert any(resource.startswith(namespace) for resource in excepted)
