"""Namespaces, services, routes in and configuration."""

from collections.abc import Iterator
from typing import Any

from policies.control import Resource, Stack, StackVerdicts, control, of_type, stack_control
from policies.plain_secrets import plain_secrets
from policies.props import (
    ABSENT,
    UNKNOWN,
    Props,
    Undecided,
    Verdicts,
    any_of,
    expect,
    expect_set,
    items,
    lookup,
)

NAMESPACE = "kubernetes:core/v1:Namespace"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
SERVICE = ("kubernetes:core/v1:Service",)
INGRESS = ("kubernetes:networking.k8s.io/v1:Ingress",)
CONFIG_MAP = ("kubernetes:core/v1:ConfigMap",)
BUILT_IN = ("default", "kube-system", "kube-public", "kube-node-lease")
INTERNAL = {
    "service.beta.kubernetes.io/azure-load-balancer-internal": "true",
    "service.beta.kubernetes.io/aws-load-balancer-internal": "true",
    "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
}


@control(
    "k8s-namespace-pod-security",
    title="Namespaces enforce a Pod Security Standard",
    severity="high",
    types=(NAMESPACE,),
    remedy="label the namespace pod-security.kubernetes.io/enforce: restricted, or baseline",
    anchors=("PSS", "Kyverno:psa/add-psa-labels"),
)
def pod_security(props: Props) -> Verdicts:
    labels = lookup(props, "metadata.labels")
    if labels is UNKNOWN:
        yield Undecided("metadata.labels")
        return
    enforced = ABSENT if labels is ABSENT else labels.get("pod-security.kubernetes.io/enforce", ABSENT)
    if enforced is UNKNOWN:
        yield Undecided("metadata.labels")
    elif enforced not in ("restricted", "baseline"):
        yield "metadata.labels: any pod is admitted"


@stack_control(
    "k8s-namespace-network-policy",
    title="Every namespace has a network policy",
    severity="high",
    types=(NAMESPACE,),
    remedy="declare a NetworkPolicy in the namespace that denies by default",
    anchors=("CKV2_K8S_6", "KSV-0038", "CIS 4.3.2"),
)
def network_policy(stack: Stack) -> StackVerdicts:
    policies = of_type(stack, NETWORK_POLICY)
    for namespace in of_type(stack, NAMESPACE):
        if lookup(namespace.props, "metadata.name") not in BUILT_IN:
            answers = [_is_in(policy, namespace) for policy in policies]
            for verdict in any_of([*answers, ["no network policy stands in it"]]):
                yield namespace, verdict


def _is_in(policy: Resource, namespace: Resource) -> Iterator[str | Undecided]:
    """No verdict if the policy stands in the namespace. The recorded dependency tells even in a preview."""
    if namespace.urn in policy.property_dependencies.get("metadata", ()):
        return
    there, name = lookup(policy.props, "metadata.namespace"), lookup(namespace.props, "metadata.name")
    if UNKNOWN in (there, name):
        yield Undecided(f"{policy.name}.metadata.namespace")
    elif there != name:
        yield "it has no network policy"


@control(
    "k8s-service-public-load-balancer",
    title="Services open no load balancer to the Internet",
    severity="high",
    types=SERVICE,
    remedy="use ClusterIP behind the gateway, or the cloud's annotation for an internal load balancer",
    anchors=("CRP:disallowLoadBalancer", "AzPolicy:internal-LB"),
)
def public_load_balancer(props: Props) -> Verdicts:
    kind = expect(props, "spec.type", lambda kind: kind != "LoadBalancer", "it is public", absent_passes=True)
    yield from any_of([kind, _is_internal(lookup(props, "metadata.annotations"))])


def _is_internal(annotations: Any) -> Verdicts:
    """No verdict if an annotation makes the load balancer an internal one."""
    known = annotations if annotations not in (ABSENT, UNKNOWN) else {}
    if annotations is UNKNOWN or any(known.get(key) is UNKNOWN for key in INTERNAL):
        yield Undecided("metadata.annotations")
    elif not any(str(known.get(key)).lower() == value for key, value in INTERNAL.items()):
        yield "spec.type asks for a load balancer and no annotation makes it internal"


@control(
    "k8s-service-external-ips",
    title="Services claim no external addresses",
    severity="high",
    types=SERVICE,
    remedy="remove spec.externalIPs",
    anchors=("KSV-0108", "Kyverno:restrict-service-external-ips"),
)
def external_ips(props: Props) -> Verdicts:
    path = "spec.externalIPs"
    wrong = "it can take over another service's traffic"
    yield from expect(props, path, lambda addresses: not items(addresses), wrong, absent_passes=True)


@control(
    "k8s-ingress-tls",
    title="Ingresses serve TLS",
    severity="high",
    types=INGRESS,
    remedy="set spec.tls",
    anchors=("CIS 5.4.5", "AzPolicy:https-only"),
)
def ingress_tls(props: Props) -> Verdicts:
    yield from expect_set(props, "spec.tls", "requests travel unencrypted")


@control(
    "k8s-config-map-secrets",
    title="ConfigMaps hold no secrets",
    severity="high",
    types=CONFIG_MAP,
    remedy="keep the value in the cloud's secret store and bring it in with an ExternalSecret",
    anchors=("KSV-0109", "KSV-01010"),
)
def config_map_secrets(props: Props) -> Verdicts:
    yield from plain_secrets(lookup(props, "data"), "data")
