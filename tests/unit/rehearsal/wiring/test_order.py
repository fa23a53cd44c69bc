"""The order of creation in whole stacks, from which single dependencies are removed.

Proves that the stacks wait for everything that the rules cover, and that each kind of missing dependency is reported
although the resource exists. That the engine creates resources in this order is not proven here.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from rehearsal import wiring
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.simulator.late_grants import PAUSE, EffectiveState
from rehearsal.wiring import one_writer, providers
from rehearsal.wiring.declared import Declared, Graph, read_graph
from rehearsal.wiring.order import find_early_uses
from tests.support.declared_stack import DeclaredStack

pytestmark = pytest.mark.process  # Helm renders the charts

Stacks = dict[str, DeclaredStack]


def list_problems(stack: DeclaredStack, graph: Graph) -> list[str]:
    caller = stack.recorder.circumstances.caller
    return [problem.message for problem in wiring.check_graph(graph, stack.recorder.state, stack.wiring, caller)]


@pytest.mark.parametrize("cloud", ["azure", "aws"])
def test_a_stack_waits_for_what_it_needs(stacks: Stacks, cloud: str) -> None:
    assert list_problems(stacks[cloud], stacks[cloud].graph) == []


def find(graph: Graph, kind: str, name: str) -> Declared:
    named = [each for each in graph if each.type.endswith(f":{kind}") and each.name == name]
    (found,) = [each for each in named if not each.type.startswith("groundwork:")]  # a component
    return found


def cut(graph: Graph, waiting: Declared, needed: Declared) -> Graph:
    """The graph without any dependency of one resource that leads to another."""
    needs = [urn for urn in waiting.needs if urn != needed.urn and needed.urn not in graph.list_before(urn)]
    assert needed.urn in graph.list_before(waiting.urn)
    return Graph(replace(each, needs=needs) if each is waiting else each for each in graph)


@pytest.mark.parametrize(
    ("cloud", "waiting", "needed", "message"),
    [
        # the rules of models, and references
        ("aws", ("NodeGroup", "cluster-user"), ("Addon", "cluster-vpc-cni"), "has no add-on vpc-cni"),
        ("aws", ("Trail", "audit"), ("BucketPolicy", "audit"), "Incorrect S3 bucket policy"),
        (
            "azure",
            ("ManagedCluster", "cluster"),
            ("RoleAssignment", "cluster-control-kubelet"),
            "assign kubelet identity",
        ),
        # roles take effect late, and Kubernetes requires access
        ("azure", ("ManagedCluster", "cluster"), ("Sleep", "cluster-control-propagation"), "assign kubelet identity"),
        ("azure", ("StorageAccount", "artifacts"), ("Sleep", "secrets-encryption-propagation"), "may not use the key"),
        ("azure", ("FlowLog", "audit-flows"), ("Sleep", "audit-flows-propagation"), "which may not"),
        ("aws", ("kubernetes", "kubernetes"), ("AccessPolicyAssociation", "cluster-admin-rehearsal"), "access entry"),
        # the cloud changes only one at a time
        ("azure", ("Subnet", "network-api"), ("Subnet", "network-database"), "AnotherOperationInProgress"),
        ("azure", ("Subnet", "network-nodes"), ("VirtualNetworkPeering", "network-hub"), "AnotherOperationInProgress"),
        (
            "azure",
            ("SqlResourceSqlRoleAssignment", "identity-experiment-router-assignments"),
            ("SqlResourceSqlRoleAssignment", "identity-training-models"),
            "exclusive lock",
        ),
        (
            "azure",
            ("SqlResourceSqlContainer", "experiments-results"),
            ("SqlResourceSqlContainer", "experiments-assignments"),
            "shared RU collection creates",
        ),
        # in the cluster
        ("aws", ("ServiceMonitor", "experiment-router-monitor"), ("Release", "kube-prometheus-stack"), "its kind"),
        ("aws", ("Release", "kserve-runtime-configs"), ("Release", "kserve-resources"), "admitted by a webhook"),
        ("aws", ("Release", "mlflow"), ("Secret", "mlflow-database"), "its pods use Secret mlflow-database"),
        ("aws", ("Release", "kube-prometheus-stack"), ("StorageClass", "storage"), "its volumes use"),
        ("aws", ("Release", "karpenter"), ("PodIdentityAssociation", "karpenter"), "its pods get access from"),
        ("azure", ("StatefulSet", "experiment-router"), ("Namespace", "serving"), "its namespace is"),
    ],
)
def test_a_dependency_that_is_missing_is_reported(
    stacks: Stacks, cloud: str, waiting: tuple[str, str], needed: tuple[str, str], message: str
) -> None:
    graph = stacks[cloud].graph
    found = list_problems(stacks[cloud], cut(graph, find(graph, *waiting), find(graph, *needed)))
    assert any(message in text for text in found), found


def test_credentials_of_one_identity_wait_for_each_other(stacks: Stacks) -> None:
    graph, state = stacks["azure"].graph, StateStore(":memory:")
    one = find(graph, "FederatedIdentityCredential", "identity-loki")
    record = next(each for each in stacks["azure"].recorder.state.all() if each.urn == one.urn)
    other = replace(one, urn=f"{one.urn}-two")
    elsewhere = replace(one, urn=f"{one.urn}-three")
    state.put(record)
    state.put(replace(record, urn=other.urn, id=f"{record.id}-two"))
    state.put(replace(record, urn=elsewhere.urn, id=record.id.replace("loki", "tempo")))
    (problem,) = one_writer.find_problems(Graph([*graph, other, elsewhere]), state)
    assert "may be changed at the same time as FederatedIdentityCredential identity-loki-two" in problem.message
    assert "Conflict: Concurrent write request" in problem.message
    waiting = replace(other, needs=[*other.needs, one.urn])
    assert list(one_writer.find_problems(Graph([*graph, waiting, elsewhere]), state)) == []


@pytest.mark.parametrize(
    ("cloud", "pause", "length", "message"),
    [
        ("azure", "cluster-control-propagation", "9m59s", "assign kubelet identity"),
        ("azure", "secrets-encryption-propagation", "5m", "may not use the key"),
        ("azure", "cluster-creator-propagation", "1m", "does not have access"),
        ("aws", "cluster-admin-propagation", "10s", "access entry"),
    ],
)
def test_a_pause_that_is_too_short_does_not_count(
    stacks: Stacks, cloud: str, pause: str, length: str, message: str
) -> None:
    graph = stacks[cloud].graph
    found = find(graph, "Sleep", pause)
    short = replace(found, inputs={**found.inputs, "createDuration": length})
    problems = list_problems(stacks[cloud], Graph(short if each is found else each for each in graph))
    assert any(message in text for text in problems), problems


@pytest.mark.parametrize(("kind", "message"), [("StorageAccount", "may not use the key"), ("FlowLog", "which may not")])
def test_a_resource_that_uses_a_grant_before_it_acts_is_refused(stacks: Stacks, kind: str, message: str) -> None:
    """As the clouds do in a rehearsal with slow grants."""
    state = StateStore(":memory:")
    effective = EffectiveState(state)
    records = list(stacks["azure"].recorder.state.all())
    for record in records:
        if record.type != PAUSE:
            state.put(record)
    using = [record for record in records if record.type.endswith(f":{kind}")]
    assert using
    assert all(message in "; ".join(find_early_uses(effective, record)) for record in using)
    for record in records:
        state.put(record)
    assert [list(find_early_uses(effective, record)) for record in using] == [[]] * len(using)


def test_a_resource_without_the_stacks_provider_is_reported(stacks: Stacks) -> None:
    bucket = find(stacks["aws"].graph, "Bucket", "artifacts")
    graph = Graph(replace(each, provider="") if each is bucket else each for each in stacks["aws"].graph)
    (problem,) = providers.find_problems(graph)
    assert "Pulumi's default provider of aws" in problem.message


def test_an_object_without_a_namespace_is_reported(stacks: Stacks) -> None:
    secret = find(stacks["aws"].graph, "Secret", "mlflow-database")
    without = {**secret.inputs, "metadata": {"name": "mlflow-database"}}
    graph = Graph(replace(each, inputs=without) if each is secret else each for each in stacks["aws"].graph)
    assert any("goes to `default`" in text for text in list_problems(stacks["aws"], graph))


def test_a_default_provider_may_be_configured(stacks: Stacks) -> None:
    default = Declared("urn::p::pulumi:providers:aws::default_7_51_0", "pulumi:providers:aws", {"region": "eu-west-1"})
    bucket = find(stacks["aws"].graph, "Bucket", "artifacts")
    graph = Graph([default, *(replace(each, provider="") if each is bucket else each for each in stacks["aws"].graph)])
    assert list(providers.find_problems(graph)) == []


def test_the_graph_is_read_from_the_engines_export() -> None:
    exported = """{"deployment": {"resources": [
        {"urn": "urn:a::p::aws:s3/bucket:Bucket::one", "type": "aws:s3/bucket:Bucket", "parent": "urn:root",
         "provider": "urn:a::p::pulumi:providers:aws::own::id", "dependencies": ["urn:b"], "protect": true},
        {"urn": "urn:a::p::aws:s3/bucket:Bucket::two", "type": "aws:s3/bucket:Bucket",
         "provider": "urn:a::p::pulumi:providers:aws::default_7_51_0::id"},
        {"urn": "urn:a::p::aws:s3/bucket:Bucket::old", "type": "aws:s3/bucket:Bucket", "delete": true}]}}"""
    one, two = read_graph(exported)
    assert (one.label, one.is_protected) == ("Bucket one", True)
    assert one.provider == "urn:a::p::pulumi:providers:aws::own"
    assert set(one.needs) == {"urn:b", "urn:root", one.provider}
    assert two.provider == ""
    assert list(read_graph("")) == []
