"""Load balancers for services that ask for one, as the cloud's own controller in the cluster would give them.

Sources: https://learn.microsoft.com/azure/aks/load-balancer-standard, https://learn.microsoft.com/azure/aks/internal-lb,
https://docs.aws.amazon.com/eks/latest/userguide/network-load-balancing.html and
https://github.com/kubernetes/cloud-provider-aws (pkg/providers/v1/aws.go, the words of its refusal)
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from collections.abc import Mapping

from rehearsal.kubernetes.client import ApiClient, ApiError, Object
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster

_FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
_INTERNAL = {
    "azure": "service.beta.kubernetes.io/azure-load-balancer-internal",
    "aws": "service.beta.kubernetes.io/aws-load-balancer-internal",
}
_TYPE = "service.beta.kubernetes.io/aws-load-balancer-type"
_ELSEWHERE = ("external", "nlb-ip")  # values of it that are for the AWS Load Balancer Controller
_REFUSAL = (
    "Error syncing load balancer: failed to ensure load balancer: could not find any suitable subnets for creating the "
    "ELB"
)
_PUBLIC = ipaddress.IPv4Network("203.0.113.0/24")  # TEST-NET-3, https://datatracker.ietf.org/doc/html/rfc5737
_CONFLICT = 409


class LoadBalancers:
    """Gives and takes load balancers."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    def reconcile(self, cluster: ManagedCluster | None) -> bool:
        """Serve every service that waits; gives whether there was anything to do."""
        served = [self._serve(cluster, service) for service in self._api.list("v1", "Service")]
        return any(served)

    def _serve(self, cluster: ManagedCluster | None, service: Object) -> bool:
        held = service["metadata"].get("finalizers", [])
        if not _wanted(service):
            if _FINALIZER in held:
                self._release(service, [one for one in held if one != _FINALIZER])
            return _FINALIZER in held
        if cluster is None or service["status"].get("loadBalancer", {}).get("ingress"):
            return False
        if _FINALIZER not in held:
            self._api.patch(service, {"metadata": {"finalizers": [*held, _FINALIZER]}})
        ingress = _ingress(cluster, service)
        if not ingress:
            self._refuse(service)
            return False
        self._api.patch(service, {"status": {"loadBalancer": {"ingress": [ingress]}}}, "/status")
        return True

    def _release(self, service: Object, others: list[str]) -> None:
        if "deletionTimestamp" not in service["metadata"]:
            self._api.patch(service, {"status": {"loadBalancer": {"ingress": None}}}, "/status")
        self._api.patch(service, {"metadata": {"finalizers": others}})

    def _refuse(self, service: Object) -> None:
        """Say why in an event, once for each service."""
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = service["metadata"]
        reference = {key: metadata[key] for key in ("namespace", "name", "uid")}
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{metadata['uid'][:8]}", "namespace": metadata["namespace"]},
            "involvedObject": {"apiVersion": "v1", "kind": "Service", **reference},
            "type": "Warning",
            "reason": "SyncLoadBalancerFailed",
            "message": _REFUSAL,
            "source": {"component": "service-controller"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            self._api.create(event)
        except ApiError as error:
            if error.status != _CONFLICT:
                raise


def _wanted(service: Object) -> bool:
    """Whether a service asks this controller for a load balancer, and not another one."""
    spec, metadata = service["spec"], service["metadata"]
    return (
        spec.get("type") == "LoadBalancer"
        and "loadBalancerClass" not in spec
        and metadata.get("annotations", {}).get(_TYPE) not in _ELSEWHERE
        and "deletionTimestamp" not in metadata
    )


def _ingress(cluster: ManagedCluster, service: Object) -> Mapping[str, str]:
    """What the load balancer is reached at; nothing where it cannot be had.

    On EKS a subnet must carry the tag of the role. The real controller would fall back on the route tables, which AWS
    advises against relying on: here a stack without the tags is told so.
    """
    annotations = service["metadata"].get("annotations", {})
    internal = annotations.get(_INTERNAL[cluster.cloud], "false").lower() in ("true", "0.0.0.0/0")
    digits = hashlib.sha256(service["metadata"]["uid"].encode()).hexdigest()
    if cluster.cloud == "azure":
        block = ipaddress.IPv4Network(cluster.pools[0].subnets[0].cidr) if internal else _PUBLIC
        own = service["spec"].get("loadBalancerIP")
        return {"ip": own or str(block[-2 - int(digits, 16) % (block.num_addresses // 4)])}
    if ("internal-elb" if internal else "elb") not in cluster.load_balancer_subnet_roles:
        return {}
    prefix = "internal-" if internal else ""
    return {"hostname": f"{prefix}a{digits[:31]}-{int(digits, 16) % 10**10}.{cluster.region}.elb.amazonaws.com"}
