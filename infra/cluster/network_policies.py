"""Network policies, which deny all traffic but the flows of the stack. `flows.py` explains how components add theirs.

Engines differ in what an `ipBlock` selects. With Cilium it never selects pods or nodes, and the API server has its own
identity, so flows to and from these need CiliumNetworkPolicies, which name them as entities. The VPC CNI compares only
addresses. Sources: https://docs.cilium.io/en/stable/security/policy/language/#entities-based,
https://learn.microsoft.com/azure/aks/azure-cni-powered-by-cilium#limitations,
https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import Namespace
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from infra.access import KARPENTER, LOAD_BALANCER_CONTROLLER, WORKLOADS, Store
from infra.cluster.flows import Client, Flow, Place, Pods, Server, select_workload
from infra.contract import Endpoint, Foundation, Identity, NetworkPolicyEngine
from infra.core.component import Component, StackContext

_KUBE_SYSTEM = "kube-system"
_EVERYWHERE = "0.0.0.0/0"
# Private addresses (RFC 1918), carrier-grade NAT (RFC 6598), and link-local addresses (RFC 3927) of metadata services.
_NOT_PUBLIC = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]

# Cilium's entities for the places that its `ipBlock` does not select. Webhook calls may arrive from a node, and so do a
# load balancer's connections that are forwarded to another node. Source: https://github.com/cilium/cilium/issues/32464
_NODE_ENTITIES = ["host", "remote-node"]
_SERVER_ENTITIES: Mapping[Place, Sequence[str]] = {Place.NODES: _NODE_ENTITIES, Place.API_SERVER: ["kube-apiserver"]}
_CLIENT_ENTITIES: Mapping[Place, Sequence[str]] = {
    Place.NODES: _NODE_ENTITIES,
    Place.API_SERVER: ["kube-apiserver", *_NODE_ENTITIES],
    Place.LOAD_BALANCER: _NODE_ENTITIES,
}

_Rule = Mapping[str, Any]


@dataclass(frozen=True)
class NetworkPoliciesArgs:
    context: StackContext
    foundation: Foundation
    namespaces: Mapping[str, Namespace]
    flows: Sequence[Flow]


class NetworkPolicies(Component):
    """A default policy in each of these namespaces, and a policy for each kind of pods that flows name."""

    layer = "cluster"

    def __init__(self, name: str, args: NetworkPoliciesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        flows = list_flows(args.flows, args.foundation)
        for pods in _list_pods(args.namespaces, flows):
            into = [flow for flow in flows if _is_end(flow.server, pods)]
            out_of = [flow for flow in flows if _is_end(flow.client, pods)]
            self._create_policy(pods, into, out_of)
            if self._is_cilium:
                self._create_cilium_policy(pods, into, out_of)
        self.register_outputs({})

    def _inside(self, namespace: str) -> pulumi.ResourceOptions:
        # Policies need their namespace, which a first deployment creates in the same update.
        return self.child_options(depends_on=[self._args.namespaces[namespace]])

    @property
    def _is_cilium(self) -> bool:
        return self._args.foundation.cluster.network_policy_engine is NetworkPolicyEngine.CILIUM

    def _create_policy(self, pods: Pods, into: Iterable[Flow], out_of: Iterable[Flow]) -> None:
        ingress = [{"from": peers, **_ports(flow.port)} for flow in into if (peers := self._find_peers(flow.client))]
        egress = [
            {"to": peers, **_ports(self._find_port(flow))}
            for flow in out_of
            if (peers := self._find_peers(flow.server))
        ]
        NetworkPolicy(
            f"{pods.namespace}-{pods.name}",
            metadata=ObjectMetaArgs(name=pods.name, namespace=pods.namespace),
            spec={
                "podSelector": _select(pods.labels),
                "policyTypes": ["Ingress", "Egress"],
                "ingress": ingress,
                "egress": [*([_DNS] if pods.name == Pods.name else []), *egress],
            },
            opts=self._inside(pods.namespace),
        )

    def _create_cilium_policy(self, pods: Pods, into: Iterable[Flow], out_of: Iterable[Flow]) -> None:
        ingress = [
            {"fromEntities": entities, **_cilium_ports(flow.port)}
            for flow in into
            if (entities := _find_entities(_CLIENT_ENTITIES, flow.client))
        ]
        egress = [
            {"toEntities": entities, **_cilium_ports(self._find_port(flow))}
            for flow in out_of
            if (entities := _find_entities(_SERVER_ENTITIES, flow.server))
        ]
        rules = {direction: rules for direction, rules in (("ingress", ingress), ("egress", egress)) if rules}
        if rules:
            CustomResource(
                f"{pods.namespace}-{pods.name}",
                api_version="cilium.io/v2",
                kind="CiliumNetworkPolicy",
                metadata=ObjectMetaArgs(name=pods.name, namespace=pods.namespace),
                spec={"endpointSelector": _select(pods.labels), **rules},
                opts=self._inside(pods.namespace),
            )

    def _find_peers(self, end: Client | Server) -> pulumi.Input[Sequence[_Rule]] | None:
        """The peers that select an end of a flow in a NetworkPolicy; None if only Cilium's entities can select it."""
        if isinstance(end, Pods):
            return [_select_pods(end)]
        if isinstance(end, Place) and self._is_cilium and end in _SERVER_ENTITIES:
            return None
        endpoint = self._find_endpoint(end)
        if endpoint:
            return pulumi.Output.from_input(endpoint.cidrs).apply(lambda cidrs: [_block(cidr) for cidr in cidrs])
        network = self._args.context.settings.network.cidr
        peers: Mapping[Client | Server, _Rule] = {
            Place.ALL_PODS: {"namespaceSelector": {}},
            Place.NODES: _block(network),
            Place.PRIVATE_NETWORK: _block(network),
            Place.INTERNET: {"ipBlock": {"cidr": _EVERYWHERE, "except": _NOT_PUBLIC}},
            Place.LOAD_BALANCER: _block(_EVERYWHERE),
        }
        return [peers[end]]

    def _find_port(self, flow: Flow) -> int | None:
        endpoint = self._find_endpoint(flow.server)
        return endpoint.port if endpoint else flow.port

    def _find_endpoint(self, end: Client | Server) -> Endpoint | None:
        """The addresses and the port of an end that is outside of the cluster and has one port."""
        foundation = self._args.foundation
        if isinstance(end, Store):
            return foundation.endpoints[end]
        if end is Place.API_SERVER:
            return foundation.cluster.api
        return end if isinstance(end, Endpoint) else None


def list_flows(stated: Iterable[Flow], foundation: Foundation) -> list[Flow]:
    """All flows of a stack: declared by components, from the access table, and through the API server's tunnel."""
    flows = [*stated, *_list_workload_flows(foundation)]
    tunnel = foundation.cluster.api_tunnel
    if tunnel:
        agents = Pods(_KUBE_SYSTEM, "api-tunnel", tunnel)
        calls = [flow for flow in flows if flow.client is Place.API_SERVER]
        flows += [Flow(agents, call.server, call.port, f"{call.reason}, through the tunnel") for call in calls]
    return flows


def _list_workload_flows(foundation: Foundation) -> Iterator[Flow]:
    """Flows that follow from the access table: to a workload's stores, and to where its pods get credentials."""
    for workload in WORKLOADS:
        pods = select_workload(workload)
        for store, access in workload.needs.items():
            yield Flow(pods, store, reason=f"{workload.name}: {access}")
        yield from _list_credentials(workload.name, pods, foundation.identities[workload.name])
    controllers = (KARPENTER, foundation.karpenter), (LOAD_BALANCER_CONTROLLER, foundation.load_balancer_controller)
    for controller, contract in controllers:
        if contract:
            yield from _list_credentials(controller.name, Pods(controller.namespace), contract.identity)


def _list_credentials(name: str, pods: Pods, identity: Identity) -> Iterator[Flow]:
    if identity.token_endpoint:
        yield Flow(pods, identity.token_endpoint, reason=f"{name}: credentials of its identity")


def _list_pods(namespaces: Collection[str], flows: Iterable[Flow]) -> list[Pods]:
    """The pods that get policies: all pods of each of these namespaces, and the pods in them that flows name.

    Raises ValueError if two kinds of pods have the same name.
    """
    selections = {(namespace, Pods.name): Pods(namespace) for namespace in namespaces}
    for end in (end for flow in flows for end in (flow.client, flow.server)):
        if not isinstance(end, Pods) or end.namespace not in namespaces:
            continue
        if selections.setdefault((end.namespace, end.name), end) != end:
            raise ValueError(
                f"Flows name pods '{end.name}' in the namespace '{end.namespace}' with different labels: give each "
                "kind of pods its own name."
            )
    return list(selections.values())


def _is_end(end: Client | Server, pods: Pods) -> bool:
    return end == pods or (end is Place.ALL_PODS and pods.name == Pods.name)


def _find_entities(entities: Mapping[Place, Sequence[str]], end: Client | Server) -> Sequence[str]:
    return entities.get(end, ()) if isinstance(end, Place) else ()


def _select(labels: Mapping[str, str]) -> _Rule:
    return {"matchLabels": dict(labels)} if labels else {}


def _select_pods(pods: Pods) -> _Rule:
    namespace = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": pods.namespace}}}
    return {**namespace, "podSelector": _select(pods.labels)} if pods.labels else namespace


def _block(cidr: str) -> _Rule:
    return {"ipBlock": {"cidr": cidr}}


def _ports(port: int | None) -> _Rule:
    return {"ports": [{"port": port, "protocol": "TCP"}]} if port else {}


def _cilium_ports(port: int | None) -> _Rule:
    return {"toPorts": [{"ports": [{"port": str(port), "protocol": "TCP"}]}]} if port else {}


_DNS: _Rule = {
    "to": [_select_pods(Pods(_KUBE_SYSTEM, "dns", {"k8s-app": "kube-dns"}))],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}
