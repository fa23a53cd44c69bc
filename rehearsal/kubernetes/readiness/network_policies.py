"""Which connections network policies allow, as a cloud's engine enforces them.

In a rehearsal nothing enforces policies, since the processes in pods are simulated. Engines differ in what an address
block selects: Cilium identifies pods, nodes and the API server by identities, which an `ipBlock` never selects; the VPC
CNI compares addresses. Sources: https://kubernetes.io/docs/concepts/services-networking/network-policies/,
https://docs.cilium.io/en/stable/security/policy/language/,
https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy.html
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.label_selectors import labels_of, matches
from rehearsal.kubernetes.readiness.services import find_container_port
from rehearsal.kubernetes.readiness.snapshot import Snapshot

_CILIUM_API, _CILIUM_KIND = "cilium.io/v2", "CiliumNetworkPolicy"
_NETWORKING_API, _KIND = "networking.k8s.io/v1", "NetworkPolicy"
_POD_NAMESPACE = "io.kubernetes.pod.namespace"  # the label that holds a pod's namespace in Cilium


class Engine(StrEnum):
    """An engine that enforces network policies."""

    CILIUM = "Cilium"
    VPC_CNI = "Amazon VPC CNI"


class EndKind(StrEnum):
    """The kind of an end of a connection."""

    POD = "pod"
    NODE = "node"
    API_SERVER = "API server"
    OUTSIDE = "outside"


@dataclass(frozen=True)
class End:
    """An end of a connection.

    pod        of a pod in the pod network
    addresses  in CIDR notation, all of which a policy has to include; none for an external host with only a name
    """

    kind: EndKind
    pod: Object | None = None
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """Whether a direction of a connection is allowed, and by which policy; None if no policy applies to the pod."""

    is_allowed: bool
    policy: str = ""


# The entities by which Cilium's rules refer to ends other than pods.
_ENTITIES: Mapping[EndKind, frozenset[str]] = {
    EndKind.POD: frozenset({"all", "cluster"}),
    EndKind.NODE: frozenset({"all", "cluster", "host", "remote-node"}),
    EndKind.API_SERVER: frozenset({"all", "kube-apiserver"}),
    EndKind.OUTSIDE: frozenset({"all", "world", "world-ipv4"}),
}


class NetworkPolicies:
    """The network policies of a cluster."""

    def __init__(self, snapshot: Snapshot, engine: Engine) -> None:
        self._engine = engine
        self._namespaces = {
            namespace["metadata"]["name"]: labels_of(namespace) for namespace in snapshot.list("v1", "Namespace")
        }
        self._policies = snapshot.list(_NETWORKING_API, _KIND)
        self._cilium_policies = snapshot.list(_CILIUM_API, _CILIUM_KIND) if engine is Engine.CILIUM else ()

    def decide_egress(self, client: End, server: End, port: int, protocol: str = "TCP") -> Decision:
        """Whether the client's policies allow it to connect."""
        return self._decide("egress", client, server, server, port, protocol)

    def decide_ingress(self, client: End, server: End, port: int, protocol: str = "TCP") -> Decision:
        """Whether the server's policies allow the connection."""
        return self._decide("ingress", server, client, server, port, protocol)

    def _decide(self, direction: str, subject: End, peer: End, server: End, port: int, protocol: str) -> Decision:
        if subject.pod is None:
            return Decision(True)
        applied = False
        for policy in self._policies_of(subject.pod):
            spec = policy["spec"]
            is_cilium = policy["kind"] == _CILIUM_KIND
            if not (direction in spec if is_cilium else direction.title() in _list_types(spec)):
                continue
            applied = True
            for rule in spec.get(direction) or ():
                allows = self._cilium_allows if is_cilium else self._allows
                if allows(policy, rule, direction, peer, server, port, protocol):
                    return Decision(True, f"{policy['kind']} {policy['metadata']['name']}")
        return Decision(not applied)

    def _policies_of(self, pod: Object) -> list[Object]:
        namespace, labels = pod["metadata"]["namespace"], labels_of(pod)
        selected = [(policy, policy["spec"].get("podSelector") or {}) for policy in self._policies]
        selected += [(policy, policy["spec"].get("endpointSelector") or {}) for policy in self._cilium_policies]
        return [
            policy
            for policy, selector in selected
            if policy["metadata"]["namespace"] == namespace and matches(selector, labels)
        ]

    def _allows(
        self, policy: Object, rule: Mapping[str, Any], direction: str, peer: End, server: End, port: int, protocol: str
    ) -> bool:
        peers = rule.get("from" if direction == "ingress" else "to") or ()
        ports = rule.get("ports") or ()
        is_peer = not peers or self._is_among(policy, peers, peer)
        return is_peer and (not ports or any(_is_port(item, server, port, protocol) for item in ports))

    def _is_among(self, policy: Object, peers: Sequence[Mapping[str, Any]], end: End) -> bool:
        if end.kind is EndKind.POD:
            return any(self._selects(policy, peer, end.pod) for peer in peers if end.pod and "ipBlock" not in peer)
        if self._engine is Engine.CILIUM and end.kind is not EndKind.OUTSIDE:
            return False
        return _include_addresses([peer["ipBlock"] for peer in peers if "ipBlock" in peer], end)

    def _selects(self, policy: Object, peer: Mapping[str, Any], pod: Object) -> bool:
        namespace = pod["metadata"]["namespace"]
        if "namespaceSelector" in peer:
            is_inside = matches(peer["namespaceSelector"] or {}, self._namespaces.get(namespace, {}))
        else:
            is_inside = namespace == policy["metadata"]["namespace"]
        return is_inside and matches(peer.get("podSelector") or {}, labels_of(pod))

    def _cilium_allows(
        self, policy: Object, rule: Mapping[str, Any], direction: str, peer: End, server: End, port: int, protocol: str
    ) -> bool:
        preposition = "from" if direction == "ingress" else "to"
        ports = [item for listed in rule.get("toPorts") or () for item in listed.get("ports") or ()]
        if ports and not any(_is_cilium_port(item, server, port, protocol) for item in ports):
            return False
        known = [rule.get(f"{preposition}{kind}") for kind in ("Entities", "Endpoints", "CIDR", "CIDRSet", "FQDNs")]
        if all(peers is None for peers in known):
            return True
        entities, endpoints, cidrs, sets, names = known
        blocks = [{"cidr": cidr} for cidr in cidrs or ()] + list(sets or ())
        is_outside = peer.kind is EndKind.OUTSIDE
        return (
            bool(_ENTITIES[peer.kind] & set(entities or ()))
            or any(peer.pod and _is_endpoint(policy, selector, peer.pod) for selector in endpoints or ())
            or (is_outside and bool(blocks) and _include_addresses(blocks, peer))
            or (is_outside and bool(names) and not peer.addresses)
        )


def _list_types(spec: Mapping[str, Any]) -> Sequence[str]:
    """The directions that a policy restricts; by default ingress, and egress if it has egress rules."""
    return spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def _is_port(item: Mapping[str, Any], server: End, port: int, protocol: str) -> bool:
    if item.get("protocol", "TCP") != protocol:
        return False
    listed = item.get("port")
    if listed is None:
        return True
    number = find_container_port(server.pod, listed) if server.pod else int(listed) if str(listed).isdigit() else None
    return number is not None and number <= port <= int(item.get("endPort") or number)


def _is_cilium_port(item: Mapping[str, Any], server: End, port: int, protocol: str) -> bool:
    is_any = item.get("protocol", "ANY") == "ANY"
    return _is_port({**item, "protocol": protocol if is_any else item["protocol"]}, server, port, protocol)


def _is_endpoint(policy: Object, selector: Mapping[str, Any], pod: Object) -> bool:
    """Whether Cilium's endpoint selector selects a pod; without a namespace it selects in the policy's."""
    required = {
        key.removeprefix("k8s:").removeprefix("any:"): value
        for key, value in (selector.get("matchLabels") or {}).items()
    }
    namespace = required.pop(_POD_NAMESPACE, policy["metadata"]["namespace"])
    return pod["metadata"]["namespace"] == namespace and matches({**selector, "matchLabels": required}, labels_of(pod))


def _include_addresses(blocks: Iterable[Mapping[str, Any]], end: End) -> bool:
    """Whether address blocks include all addresses of an end; if its addresses are not known, any block might."""
    included = list(blocks)
    if not end.addresses:
        return bool(included)
    return all(any(_includes(block, address) for block in included) for address in end.addresses)


def _includes(block: Mapping[str, Any], address: str) -> bool:
    network = ipaddress.IPv4Network(address)
    excluded = (ipaddress.IPv4Network(cidr) for cidr in block.get("except") or ())
    return network.subnet_of(ipaddress.IPv4Network(block["cidr"])) and not any(map(network.overlaps, excluded))
