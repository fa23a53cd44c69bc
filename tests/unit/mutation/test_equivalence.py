"""Which mutants are equivalent to the program.

Proves that inputs, objects, options and dependencies count, but neither the order of dependencies nor values that a
chart renders to the same objects; and that generated secrets are the same for each declaration. That a server's
defaults do not count is proven in tests/cluster/test_mutated_objects.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.runtime.proto.resource_pb2 import RegisterResourceRequest

from rehearsal.simulator.offline_kubernetes import RELEASE
from tests.mutation.equivalence import describe, same_secrets
from tests.support.declared_stack import declare_stack

_BUCKET = "aws:s3/bucket:Bucket"


class _Server:
    """A stub of the API server that returns objects unchanged, keyed by kind and name."""

    def describe(self, objects: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        return {f"{found['kind']} {found['metadata']}": str(found) for found in objects}


def _describe(
    type_: str, inputs: Mapping[str, Any], objects: Sequence[Mapping[str, Any]] = (), **options: Any
) -> Mapping[str, str]:
    resource = SimpleNamespace(type=type_, name="it", inputs=inputs)
    requests = {(type_, "it"): RegisterResourceRequest(**options)}
    recorder = SimpleNamespace(resources=[resource], requests=requests)
    return describe(SimpleNamespace(recorder=recorder, objects=objects), _Server())  # type: ignore[arg-type]


def test_inputs_and_options_count_but_not_the_order_of_dependencies() -> None:
    usual = _describe(_BUCKET, {"name": "models"}, dependencies=["one", "two"])
    assert usual == _describe(_BUCKET, {"name": "models"}, dependencies=["two", "one"])
    assert usual != _describe(_BUCKET, {"name": "traces"}, dependencies=["one", "two"])
    assert usual != _describe(_BUCKET, {"name": "models"}, dependencies=["one"])
    assert usual != _describe(_BUCKET, {"name": "models"}, dependencies=["one", "two"], protect=True)
    assert usual != _describe(_BUCKET, {"name": "models"}, dependencies=["one", "two"], retainOnDelete=True)


def test_a_release_counts_with_its_objects() -> None:
    web = {"kind": "Deployment", "metadata": {"name": "web"}}
    objects = [{**web, "replicas": 2}]
    usual = _describe(RELEASE, {"version": "1", "values": {"replicas": 2}}, objects)
    assert usual == _describe(RELEASE, {"version": "1", "values": {}}, objects)
    assert usual != _describe(RELEASE, {"version": "2", "values": {}}, objects)
    assert usual != _describe(RELEASE, {"version": "1", "values": {}}, [{**web, "replicas": 1}])


def test_an_object_of_the_cluster_counts_as_its_server_returns_it() -> None:
    usual = _describe("kubernetes:core/v1:Service", {"spec": {"type": "ClusterIP"}})
    assert usual == _describe("kubernetes:core/v1:Service", {"spec": {}})
    assert usual != _describe("kubernetes:core/v1:Service", {"spec": {}}, deletedWith="namespace")


@pytest.mark.slow
def test_a_stack_that_is_declared_once_more_is_the_same() -> None:
    with same_secrets():
        first, second = (declare_stack("aws-long") for _ in range(2))
    described = [describe(each, _Server()) for each in (first, second)]  # type: ignore[arg-type]
    assert described[0] == described[1]
    assert len(described[0]) > 500
