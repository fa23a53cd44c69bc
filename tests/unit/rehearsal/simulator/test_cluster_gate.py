"""Access to the Kubernetes API as the engine sees it: over the provider protocol.

Proves that requests that change or read an object are refused if the caller cannot reach the cluster, and pass if it
can; and that previews and configuration pass. tests/unit/infra/test_ways_in.py proves who can reach it.
"""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from rehearsal.simulator.cluster_gate import ClusterGate
from rehearsal.simulator.core.circumstances import Caller, Circumstances
from rehearsal.simulator.core.state_store import ResourceRecord, StateStore
from rehearsal.simulator.core.values import Values
from rehearsal.simulator.server import serve_clouds
from tests.support.provider_client import AbortedError, Context

REQUESTS = {
    "Create": provider_pb2.CreateRequest(),
    "Update": provider_pb2.UpdateRequest(),
    "Read": provider_pb2.ReadRequest(),
    "Delete": provider_pb2.DeleteRequest(),
}


class Echo(provider_pb2_grpc.ResourceProviderServicer):
    """Answers each request with its name."""

    def __getattribute__(self, name: str) -> Any:
        return (lambda _request, _context: name) if name[0].isupper() else super().__getattribute__(name)


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_pass_while_the_caller_can_reach_the_cluster(name: str) -> None:
    refusals = [""]
    gate = ClusterGate(Echo(), lambda: refusals[0])
    assert getattr(gate, name)(REQUESTS[name], Context()) == name
    refusals[0] = "i/o timeout"
    with pytest.raises(AbortedError, match="i/o timeout"):
        getattr(gate, name)(REQUESTS[name], Context())


def test_previews_and_all_other_requests_pass() -> None:
    gate = ClusterGate(Echo(), lambda: "i/o timeout")
    previews = {"Create": provider_pb2.CreateRequest(preview=True), "Update": provider_pb2.UpdateRequest(preview=True)}
    others = dict.fromkeys(("Configure", "Check", "Diff", "GetPluginInfo", "Handshake"))
    for name, request in {**previews, **others}.items():
        assert getattr(gate, name)(request, Context()) == name


def test_a_served_cluster_is_behind_the_gate() -> None:
    """Over gRPC, with a private cluster in the clouds' state and a caller outside of it."""
    state, type_ = StateStore(":memory:"), "aws:eks/cluster:Cluster"
    private = {"vpcConfig": {"endpointPublicAccess": False, "endpointPrivateAccess": True}}
    outputs = {"arn": "arn:aws:eks:eu-west-1:111122223333:cluster/c", "endpoint": "https://c"}
    caller = Caller(address="198.51.100.7", remedies=(("private", "api.internal"),))
    namespace = Values({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    request = provider_pb2.CreateRequest(
        urn="urn:pulumi:s::p::kubernetes:core/v1:Namespace::n", properties=namespace.to_wire()
    )
    with serve_clouds(state, circumstances=Circumstances(caller=caller)) as providers:
        port = dict(each.split(":") for each in providers.split(","))["kubernetes"]
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = provider_pb2_grpc.ResourceProviderStub(channel)
            assert stub.GetPluginInfo(empty_pb2.Empty()).version
            assert stub.Create(request).id == "n"
            state.put(ResourceRecord(type_, "c", "urn", 0, private, outputs))
            with pytest.raises(grpc.RpcError) as refused:
                stub.Create(request)
    assert refused.value.details().endswith("The stack's setting for that is api.internal.")
