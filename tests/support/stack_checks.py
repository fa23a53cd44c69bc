"""The checks of a declared stack without an engine and without processes. Proves nothing.

A rehearsal runs each of them on the same stack: the policies, the objects of charts, readiness as far as it can be
derived from declarations, wiring, and the order of creation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping

from policies import Undecided, controls, load_exceptions
from policies.engine.exceptions import Subject
from policies.engine.stack import Resource
from policies.engine.stack_settings import extend_defaults
from rehearsal import wiring
from rehearsal.helm import chart_policies
from rehearsal.kubernetes.cloud_controller.cluster_network import describe_network
from rehearsal.kubernetes.cloud_controller.identity import find_workloads_without_identity
from rehearsal.kubernetes.readiness import monitors, network_flows
from rehearsal.kubernetes.readiness.kubelet_checks import find_kubelet_errors
from rehearsal.simulator.clouds import describe_service_access
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.offline_kubernetes import RELEASE
from rehearsal.toolchain import ROOT
from rehearsal.wiring.metrics import read_catalogue
from tests.support.declared_stack import DeclaredStack, declare_stack
from tests.support.recording import RecordedResource

Check = Callable[[DeclaredStack], Iterable[str]]


def check_policies(stack: DeclaredStack) -> Iterator[str]:
    """The violations that the policy pack finds in all resources of the program."""
    exceptions, today = load_exceptions(), stack.recorder.circumstances.today
    configuration = _configure(stack)
    resources = [found for found in stack.recorder.resources if not found.type.startswith(("groundwork:", "pulumi:"))]
    by_urn = {_urn(found): found for found in resources}
    for control in controls():
        configured = extend_defaults(control, configuration)
        if control.over_stack:
            found = [
                (by_urn[each.urn], finding) for each, finding in configured.evaluate_stack(_convert(stack, by_urn))
            ]
        else:
            subjects = (each for each in resources if control.applies_to(each.type))
            found = [
                (each, finding) for each in subjects for finding in configured.evaluate_resource(each.type, each.inputs)
            ]
        for resource, finding in found:
            subject = Subject(resource.name, resource.type, stack.name)
            is_exempt = any(exception.covers(control.id, subject, today) for exception in exceptions)
            if not isinstance(finding, Undecided) and not is_exempt:
                yield f"{control.id}: {resource.name}: {finding}"


def _configure(stack: DeclaredStack) -> Mapping[str, str]:
    """The stack's settings as the policy pack receives them."""
    dumped = stack.settings.model_dump(by_alias=True, mode="json")
    return {
        f"groundwork:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in dumped.items()
    }


def _convert(stack: DeclaredStack, by_urn: Mapping[str, RecordedResource]) -> list[Resource]:
    shorten = {}
    for urn, found in by_urn.items():
        shorten[found.type, found.name] = urn
    converted = []
    for urn, found in by_urn.items():
        request = stack.recorder.requests[found.type, found.name]
        dependencies = {
            name: [shorten[key] for key in map(_split, each.urns) if key in shorten]
            for name, each in request.propertyDependencies.items()
        }
        converted.append(Resource(found.type, found.name, urn, {**found.inputs, **found.outputs}, dependencies))
    return converted


def _urn(found: RecordedResource) -> str:
    return f"urn:pulumi:test::groundwork::{found.type}::{found.name}"


def _split(urn: str) -> tuple[str, str]:
    *_, types, name = urn.split("::")
    return types.rsplit("$", 1)[-1], name


def check_charts(stack: DeclaredStack) -> Iterator[str]:
    """The violations that controls find in the rendered charts."""
    exceptions, configuration = load_exceptions(), _configure(stack)
    releases = stack.recorder.of_type(RELEASE)
    evaluations = [chart_policies.evaluate_release(found.inputs, exceptions, configuration) for found in releases]
    yield from chart_policies.list_problems(evaluations, strict=False)


def check_cluster(stack: DeclaredStack) -> Iterator[str]:
    """Monitors without targets, connections that network policies block, and pods that kubelets would reject."""
    for problem in monitors.find_problems(stack.cluster):
        yield problem.message
    network = describe_network(stack.managed)
    if network is None:
        yield "nothing enforces network policies"
    else:
        yield from (problem.message for problem in network_flows.find_problems(stack.cluster, network))
    yield from (problem.message for _, problem in find_kubelet_errors(stack.cluster))
    yield from (workload.message for workload in find_workloads_without_identity(stack.cluster.api))


def check_access(stack: DeclaredStack) -> Iterator[str]:
    """Callers that the settings allow, but that cannot reach the Kubernetes API."""
    for caller in stack.list_callers():
        for access in describe_service_access(stack.recorder.state, caller):
            if access.service == "Kubernetes API" and access.refusal:
                yield f"{caller.person}: {access.refusal}"


def check_wiring(stack: DeclaredStack) -> Iterator[str]:
    """References that do not lead to their intended target."""
    catalogue = read_catalogue(ROOT / "platform" / "alerts" / "metrics")
    yield from (problem.message for problem in wiring.find_problems(stack.wiring, catalogue))


def check_graph(stack: DeclaredStack) -> Iterator[str]:
    """Resources that do not wait for what they need, or do not use the stack's own provider."""
    caller = stack.recorder.circumstances.caller
    found = wiring.check_graph(stack.graph, stack.recorder.state, stack.wiring, caller)
    yield from (problem.message for problem in found)


# Types of resources that hold data which exists nowhere else, or that are needed to read such data.
_DATA = (
    "aws:dynamodb/table:Table",
    "aws:kms/key:Key",
    "aws:rds/instance:Instance",
    "aws:s3/bucket:Bucket",
    "azure-native:containerregistry:Registry",
    "azure-native:cosmosdb:DatabaseAccount",
    "azure-native:cosmosdb:SqlResourceSqlContainer",
    "azure-native:cosmosdb:SqlResourceSqlDatabase",
    "azure-native:dbforpostgresql:Server",
    "azure-native:keyvault:Key",
    "azure-native:keyvault:Vault",
    "azure-native:storage:BlobContainer",
    "azure-native:storage:StorageAccount",
)


def check_protection(stack: DeclaredStack) -> Iterator[str]:
    """Resources with data that the engine could delete although the stack's settings protect them."""
    for declared in stack.graph if stack.settings.resilience.deletion_protection else ():
        if declared.type in _DATA and not declared.is_protected:
            yield f"{declared.label} holds data and is not protected from deletion"


def check_next_deployment(stack: DeclaredStack) -> Iterator[str]:
    """Resources that a second deployment of the unchanged program would replace or change."""
    before = {(found.type, found.name): found.inputs for found in stack.recorder.resources}
    again = declare_stack(stack.name, stack.recorder)
    for found in again.recorder.resources:
        if before.get((found.type, found.name)) != found.inputs:
            yield f"{found.type} {found.name} changes with each deployment"


def check_destroy(stack: DeclaredStack) -> Iterator[str]:
    """Resources whose deletion a cloud refuses, in the engine's reverse order; skipped for protected stacks."""
    if stack.settings.resilience.deletion_protection:
        return
    for found in reversed(stack.recorder.resources):
        package = found.type.split(":", 1)[0]
        is_retained = stack.recorder.requests[found.type, found.name].retainOnDelete
        if package in ("aws", "azure-native") and not is_retained:
            try:
                stack.recorder.simulations[package].delete(stack.name, found.type, found.id)
            except CloudError as error:
                yield f"{found.type} {found.name} cannot be deleted: {error}"


CHECKS: Mapping[str, Check] = {
    "policies": check_policies,
    "charts": check_charts,
    "cluster": check_cluster,
    "access": check_access,
    "wiring": check_wiring,
    "graph": check_graph,
    "protection": check_protection,
    "next deployment": check_next_deployment,
    "destroy": check_destroy,
}
"""The checks, keyed by the name under which a report counts their findings."""
