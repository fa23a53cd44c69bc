"""Load balancers for Services of type LoadBalancer, as the cloud's controller in the cluster provides them.

Sources: https://learn.microsoft.com/azure/aks/load-balancer-standard, https://learn.microsoft.com/azure/aks/internal-lb,
https://docs.aws.amazon.com/eks/latest/userguide/network-load-balancing.html and
https://github.com/kubernetes/cloud-provider-aws (pkg/providers/v1/aws.go, the message of its error)
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from collections.abc import Mapping

from rehearsal.kubernetes.client import ApiClient, ApiError, Object
from rehearsal.kubernetes.cloud_controller.managed_cluster import ManagedCluster

_FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
_INTERNAL_ANNOTATIONS = {
    "azure": "service.beta.kubernetes.io/azure-load-balancer-internal",
    "aws": "service.beta.kubernetes.io/aws-load-balancer-internal",
}
_TYPE_ANNOTATION = "service.beta.kubernetes.io/aws-load-balancer-type"
_LOAD_BALANCER_CONTROLLER_TYPES = ("external", "nlb-ip")  # handled by the AWS Load Balancer Controller instead
_NO_SUBNETS = (
    "Error syncing load balancer: failed to ensure load balancer: could not find any suitable subnets for creating the "
    "ELB"
)
_PUBLIC = ipaddress.IPv4Network("203.0.113.0/24")  # TEST-NET-3, https://datatracker.ietf.org/doc/html/rfc5737
_CONFLICT = 409


class LoadBalancers:
    """Provides load balancers to Services, and releases them."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    def reconcile(self, cluster: ManagedCluster | None) -> bool:
        """Handle every Service; returns whether anything changed."""
        changed = [self._reconcile_service(cluster, service) for service in self._api.list("v1", "Service")]
        return any(changed)

    def _reconcile_service(self, cluster: ManagedCluster | None, service: Object) -> bool:
        finalizers = service["metadata"].get("finalizers", [])
        if not _needs_load_balancer(service):
            if _FINALIZER in finalizers:
                self._release(service, [finalizer for finalizer in finalizers if finalizer != _FINALIZER])
            return _FINALIZER in finalizers
        if cluster is None or service["status"].get("loadBalancer", {}).get("ingress"):
            return False
        if _FINALIZER not in finalizers:
            self._api.patch(service, {"metadata": {"finalizers": [*finalizers, _FINALIZER]}})
        ingress = _allocate_ingress(cluster, service)
        if not ingress:
            self._report_missing_subnets(service)
            return False
        self._api.patch(service, {"status": {"loadBalancer": {"ingress": [ingress]}}}, "/status")
        return True

    def _release(self, service: Object, other_finalizers: list[str]) -> None:
        if "deletionTimestamp" not in service["metadata"]:
            self._api.patch(service, {"status": {"loadBalancer": {"ingress": None}}}, "/status")
        self._api.patch(service, {"metadata": {"finalizers": other_finalizers}})

    def _report_missing_subnets(self, service: Object) -> None:
        """Record an event, once for each Service."""
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
            "message": _NO_SUBNETS,
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


def _needs_load_balancer(service: Object) -> bool:
    """Whether a Service needs a load balancer from this controller, and not from another."""
    spec, metadata = service["spec"], service["metadata"]
    return (
        spec.get("type") == "LoadBalancer"
        and "loadBalancerClass" not in spec
        and metadata.get("annotations", {}).get(_TYPE_ANNOTATION) not in _LOAD_BALANCER_CONTROLLER_TYPES
        and "deletionTimestamp" not in metadata
    )


def _allocate_ingress(cluster: ManagedCluster, service: Object) -> Mapping[str, str]:
    """The address of a new load balancer; empty if no subnet is suitable.

    On EKS a subnet must have the tag of the load balancer's role. The real controller would fall back to the route
    tables, which AWS advises not to rely on, so here a missing tag is an error.
    """
    annotations = service["metadata"].get("annotations", {})
    is_internal = annotations.get(_INTERNAL_ANNOTATIONS[cluster.cloud], "false").lower() in ("true", "0.0.0.0/0")
    digest = hashlib.sha256(service["metadata"]["uid"].encode()).hexdigest()
    if cluster.cloud == "azure":
        block = ipaddress.IPv4Network(cluster.pools[0].subnets[0].cidr) if is_internal else _PUBLIC
        requested = service["spec"].get("loadBalancerIP")
        return {"ip": requested or str(block[-2 - int(digest, 16) % (block.num_addresses // 4)])}
    if ("internal-elb" if is_internal else "elb") not in cluster.load_balancer_subnet_roles:
        return {}
    prefix = "internal-" if is_internal else ""
    return {"hostname": f"{prefix}a{digest[:31]}-{int(digest, 16) % 10**10}.{cluster.region}.elb.amazonaws.com"}
