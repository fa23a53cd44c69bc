"""The Service and the ServiceMonitor of the platform's own workloads that serve HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import Service
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

HTTP: Mapping[str, object] = {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}
"""The port of requests, which leads to the containers' port of this name."""


def create_service(
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    opts: pulumi.ResourceOptions,
    ports: Sequence[Mapping[str, object]] = (HTTP,),
) -> Service:
    """A Service for the pods with these labels; the Service has the same labels."""
    return Service(
        name,
        metadata=ObjectMetaArgs(name=name, namespace=namespace, labels=labels),
        spec={"type": "ClusterIP", "selector": dict(labels), "ports": list(ports)},
        opts=opts,
    )


def create_service_monitor(
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    opts: pulumi.ResourceOptions,
    ports: Sequence[str] = ("http",),
) -> None:
    """Have Prometheus scrape these named ports of the Service with these labels."""
    CustomResource(
        f"{name}-monitor",
        api_version="monitoring.coreos.com/v1",
        kind="ServiceMonitor",
        metadata=ObjectMetaArgs(name=name, namespace=namespace),
        spec={
            "selector": {"matchLabels": dict(labels)},
            "endpoints": [{"port": port, "path": "/metrics"} for port in ports],
        },
        opts=opts,
    )
