"""The server of the pack reports all undecided checks in one message.

Proves the responses that the engine would get. That the summary of a rehearsal counts the checks is proven by
tests/unit/rehearsal/test_summary.py and, with a real engine, by tests/engine.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from pulumi.runtime import proto
from pulumi_policy import EnforcementLevel

from policies import controls, get_control
from policies.engine.decoding import read_properties
from policies.engine.pack import NAME, AnalyzerServicer, as_policy
from policies.engine.servicer import PackServicer
from tests.support.every_case import check_every
from tests.support.policies.analyzer import analyze, analyze_stack, build_request, diagnostics
from tests.support.policies.azure_cases import STORAGE
from tests.support.policies.cases import UNKNOWN_TEXT, Declared, Subject
from tests.unit.policies.controls.test_controls import TABLE

BLOB_ACCESS = "azure-storage-anonymous-blobs"


@pytest.fixture
def server() -> PackServicer:
    return PackServicer(NAME, "0.0.1", [as_policy(get_control(BLOB_ACCESS))], EnforcementLevel.ADVISORY)


def account(name: str, public: Any) -> Declared:
    return Declared(STORAGE, {"allowBlobPublicAccess": public}, name)


def test_undecided_checks_are_counted_by_control_and_reported_with_the_stack(server: PackServicer) -> None:
    assert analyze(server, account("one", UNKNOWN_TEXT)) == []
    assert analyze(server, account("two", UNKNOWN_TEXT)) == []
    [found] = analyze_stack(server, ())
    assert found.message.startswith("2 checks depend on values that are not known yet")
    assert f"{BLOB_ACCESS} (2)" in found.message
    assert found.enforcementLevel == proto.ADVISORY


def test_violations_are_reported_with_their_resource(server: PackServicer) -> None:
    [found] = analyze(server, account("one", True))
    assert "Remedy: " in found.message
    assert analyze_stack(server, ()) == []


def test_a_resource_is_decoded_once_for_all_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    policies = [as_policy(control) for control in controls()]
    server = PackServicer(NAME, "0.0.1", policies, EnforcementLevel.ADVISORY)
    decode = Mock(wraps=read_properties)
    monkeypatch.setattr("policies.engine.servicer.read_properties", decode)
    response = server.Analyze(build_request(account("one", False)), None)
    assert decode.call_count == 1
    applying = {control.id for control in controls() if control.applies_to(STORAGE) and not control.over_stack}
    others = {control.id for control in controls() if not control.over_stack} - applying
    assert applying
    assert others <= {found.policy_name for found in response.not_applicable}
    assert {found.policyName for found in response.diagnostics} <= applying
    assert "azure-storage-tls" in {found.policyName for found in response.diagnostics}


def test_a_stack_is_decoded_once_for_all_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    policies = [as_policy(control) for control in controls()]
    server = PackServicer(NAME, "0.0.1", policies, EnforcementLevel.ADVISORY)
    decode = Mock(wraps=read_properties)
    monkeypatch.setattr("policies.engine.decoding.read_properties", decode)
    found = analyze_stack(server, [account("one", False), account("two", False)])
    assert decode.call_count == 2  # no object is nested in these
    assert {"azure-storage-soft-delete", "azure-network-private-endpoints"} <= {each.policyName for each in found}


def test_its_responses_match_those_of_the_sdk() -> None:
    """Undecided checks are the only difference: the SDK reports them as advisory violations."""
    check_every([each.id for each in controls()], _compare_responses)


def _compare_responses(control_id: str) -> None:
    for subject in (*TABLE[control_id].compliant[:2], *TABLE[control_id].violating[:2]):
        server = PackServicer(NAME, "0.0.1", [as_policy(get_control(control_id))], EnforcementLevel.ADVISORY)
        expected = [each.message for each in diagnostics(control_id, subject)]
        evaluate = analyze_stack if get_control(control_id).over_stack else _analyze_all
        found = [each.message for each in evaluate(server, subject) if each.policyName == control_id]
        assert found == [message for message in expected if "undecided until known" not in message]


def _analyze_all(server: PackServicer, subject: Subject) -> list[Any]:
    return [each for resource in subject for each in analyze(server, resource)]


def test_a_policy_that_is_disabled_later_is_no_longer_applied(server: PackServicer) -> None:
    assert len(analyze(server, account("one", True))) == 1
    configured = proto.PolicyConfig(enforcementLevel=proto.DISABLED)
    server.Configure(proto.ConfigureAnalyzerRequest(policyConfig={BLOB_ACCESS: configured}), None)
    assert analyze(server, account("one", True)) == []


def test_no_resource_is_decoded_to_remediate_it(server: PackServicer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine sends this request for every resource, before its evaluation."""
    request = build_request(account("one", True))
    expected = AnalyzerServicer.Remediate(server, request, None)  # type: ignore[no-untyped-call]
    monkeypatch.setattr(AnalyzerServicer, "Remediate", None)
    assert server.Remediate(request, None) == expected == proto.RemediateResponse()


def test_a_policy_with_the_level_remediate_reports_that_it_cannot(server: PackServicer) -> None:
    configured = proto.PolicyConfig(enforcementLevel=proto.REMEDIATE)
    server.Configure(proto.ConfigureAnalyzerRequest(policyConfig={BLOB_ACCESS: configured}), None)
    request = build_request(account("one", True))
    response = server.Remediate(request, None)
    assert response == AnalyzerServicer.Remediate(server, request, None)  # type: ignore[no-untyped-call]
    assert [each.policy_name for each in response.not_applicable] == [BLOB_ACCESS]
    [found] = analyze(server, account("one", True))
    assert found.enforcementLevel == proto.MANDATORY


def test_the_version_of_the_pack_is_that_of_its_project_file(server: PackServicer) -> None:
    [found] = analyze(server, account("one", True))
    assert found.policyPackVersion == "1.0.0"


def test_a_custom_resource_is_decoded_for_policies_of_pods_only_if_it_has_containers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = PackServicer(NAME, "0.0.1", [as_policy(get_control("k8s-pod-privileged"))], EnforcementLevel.ADVISORY)
    decode = Mock(wraps=read_properties)
    monkeypatch.setattr("policies.engine.servicer.read_properties", decode)
    app = "kubernetes:example.com/v1:App"
    assert analyze(server, Declared(app, {"spec": {"replicas": 2}})) == []
    assert decode.call_count == 0
    privileged = {"securityContext": {"privileged": True}}
    [found] = analyze(server, Declared(app, {"spec": {"template": {"spec": {"containers": [privileged]}}}}))
    assert "k8s-pod-privileged" in found.message
    # If an operator is known to run pods, unknown properties are undecided.
    assert analyze(server, Declared("kubernetes:ray.io/v1:RayCluster", {"spec": UNKNOWN_TEXT}, "cluster")) == []
    [summary] = analyze_stack(server, ())
    assert "k8s-pod-privileged (1)" in summary.message
