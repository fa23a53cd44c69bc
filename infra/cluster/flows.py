"""Flows: who connects to whom, on which port, and why. The network policies of a stack derive from them.

A component's class states its flows, and `platform.py` collects those of the components that it creates:

    _CONTROLLER = Pods("karpenter", "controller", {"app.kubernetes.io/name": "karpenter"})

    class Karpenter(Component):
        layer = "cluster"
        flows = (
            Flow(_CONTROLLER, Place.API_SERVER, reason="watches pods and creates nodes"),
            Flow(Place.API_SERVER, _CONTROLLER, 8443, "calls the admission webhook"),
            Flow(_CONTROLLER, Place.PRIVATE_NETWORK, 443, "calls EC2 and SQS by their private endpoints"),
        )

Both ends of a flow between pods are opened. A port is that of the pod or node: network policies do not apply to the
ports of services. Four kinds of flow have no row, because every stack has them: DNS, Prometheus to the pods of all
namespaces, and what follows from the access table (stores, token endpoints, and calls of the tracking server).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from infra.access import Store, Workload
from infra.contract import Endpoint


@dataclass(frozen=True)
class Pods:
    """Pods of one namespace with these labels; all of the namespace without any. `name` is that of their policy."""

    namespace: str
    name: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.labels else f"{self.namespace}/*"


class Place(StrEnum):
    """Where a flow begins or ends other than at the pods of one namespace.

    ALL_PODS         pods of every namespace
    NODES            the nodes themselves, and pods in their network: kubelets, node exporters
    API_SERVER       its address as a server; as a client of webhooks, wherever its connections arrive from
    PRIVATE_NETWORK  the stack's own network: private endpoints of the cloud's services. As servers only
    INTERNET         public addresses. As servers only
    LOAD_BALANCER    clients of a load balancer, under their own address or that of a node. As clients only
    """

    ALL_PODS = "all pods"
    NODES = "nodes"
    API_SERVER = "API server"
    PRIVATE_NETWORK = "private network"
    INTERNET = "Internet"
    LOAD_BALANCER = "load balancer"


Client: TypeAlias = Pods | Place
Server: TypeAlias = Pods | Place | Store | Endpoint


@dataclass(frozen=True)
class Flow:
    """TCP connections from a client to a server.

    port  None for the one port of the API server, a store or an endpoint; for pods, every port and protocol
    """

    client: Client
    server: Server
    port: int | None = None
    reason: str = ""


def select_workload(workload: Workload) -> Pods:
    """The pods of a workload: those with its labels, or all of its namespace where it has none."""
    return (
        Pods(workload.namespace, workload.name, workload.pod_labels)
        if workload.pod_labels
        else Pods(workload.namespace)
    )
