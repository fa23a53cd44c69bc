"""The way to the Kubernetes API as the engine meets it: over the provider protocol.

Proves that what changes or reads an object is refused where the caller does not get to the cluster, and passes where it
does; that previews and configuration pass. Who gets there is proven in tests/unit/infra/test_ways_in.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from rehearsal.simulator.cluster_gate import ClusterGate
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
def test_requests_pass_while_the_caller_gets_to_the_cluster(name: str) -> None:
    refusals = [""]
    gate = ClusterGate(Echo(), lambda: refusals[0])
    assert getattr(gate, name)(REQUESTS[name], Context()) == name
    refusals[0] = "i/o timeout"
    with pytest.raises(AbortedError, match="i/o timeout"):
        getattr(gate, name)(REQUESTS[name], Context())


def test_previews_and_all_else_pass() -> None:
    gate = ClusterGate(Echo(), lambda: "i/o timeout")
    previews = {"Create": provider_pb2.CreateRequest(preview=True), "Update": provider_pb2.UpdateRequest(preview=True)}
    others = dict.fromkeys(("Configure", "Check", "Diff", "GetPluginInfo", "Handshake"))
    for name, request in {**previews, **others}.items():
        assert getattr(gate, name)(request, Context()) == name
