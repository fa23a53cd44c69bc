"""Flows: who connects to whom, on which port, and why. The network policies of a stack derive from them.

A component's class declares its flows, and `platform.py` collects those of the components that it creates:

    _CONTROLLER = Pods("karpenter", "controller", {"app.kubernetes.io/name": "karpenter"})

    class Karpenter(Component):
        layer = "cluster"
        flows = (
            Flow(_CONTROLLER, Place.API_SERVER, reason="watches pods and creates nodes"),
            Flow(Place.API_SERVER, _CONTROLLER, 8443, "calls the admission webhook"),
            Flow(_CONTROLLER, Place.PRIVATE_NETWORK, 443, "calls EC2 and SQS by their private endpoints"),
        )

A flow between pods opens both ends. A port is the port of the pod or node, because network policies do not apply to the
ports of services. Some flows are not declared, because every stack has them: DNS, Prometheus to the pods of all
namespaces, and those that follow from the access table (stores, token endpoints, and calls to the tracking server).
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
    """Pods of one namespace with these labels, or all of them without labels. `name` is the name of their policy."""

    namespace: str
    name: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.labels else f"{self.namespace}/*"


class Place(StrEnum):
    """An end of a flow other than the pods of one namespace.

    ALL_PODS         pods of every namespace
    NODES            the nodes themselves, and pods in their network: kubelets, node exporters
    API_SERVER       as a server, its address; as a client of webhooks, any source of its connections
    PRIVATE_NETWORK  the stack's own network: private endpoints of the cloud's services. Only as servers
    INTERNET         public addresses. Only as servers
    LOAD_BALANCER    clients of a load balancer, with their own address or that of a node. Only as clients
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
    """The pods of a workload: those with its labels, or all of its namespace if it has no labels."""
    return (
        Pods(workload.namespace, workload.name, workload.pod_labels)
        if workload.pod_labels
        else Pods(workload.namespace)
    )
