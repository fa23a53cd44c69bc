"""Access to the Kubernetes API: requests pass only if the caller can reach the cluster and is authorized.

Previews always pass: they do not know the address of a new cluster, as on the real clouds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

Servicer = provider_pb2_grpc.ResourceProviderServicer


class ClusterGate(Servicer):
    """A provider of Kubernetes objects, behind the network and the access that the clouds' resources declare."""

    def __init__(self, provider: Servicer, find_refusal: Callable[[], str]) -> None:
        """`find_refusal` returns why the caller cannot reach the cluster now; empty if it can."""
        for name in ("Create", "Update", "Read", "Delete"):
            setattr(self, name, self._guard(getattr(provider, name), find_refusal))
        for name in vars(Servicer):
            if name[0].isupper() and name not in vars(self):
                setattr(self, name, getattr(provider, name))

    @staticmethod
    def _guard(method: Callable[[Any, Any], Any], find_refusal: Callable[[], str]) -> Callable[[Any, Any], Any]:
        def guarded(request: Any, context: Any) -> Any:
            if not getattr(request, "preview", False) and (refusal := find_refusal()):
                return context.abort(grpc.StatusCode.FAILED_PRECONDITION, refusal)
            return method(request, context)

        return guarded
