"""Namespaces, services, ingresses and ConfigMaps."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

from kernel.paths import look_up
from kernel.values import UNKNOWN, as_list
from policies.controls.kubernetes.network_rules import find_open_rules
from policies.controls.kubernetes.plain_text_secrets import find_plain_text_secrets
from policies.engine.expectations import Requirement, expect, pass_if_any
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control, stack_control
from policies.engine.stack import Resource, Stack, StackFindings, of_type

NAMESPACE = "kubernetes:core/v1:Namespace"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
SERVICE = ("kubernetes:core/v1:Service",)
INGRESS = ("kubernetes:networking.k8s.io/v1:Ingress",)
CONFIG_MAP = ("kubernetes:core/v1:ConfigMap",)
BUILT_IN = ("default", "kube-system", "kube-public", "kube-node-lease")
INTERNAL_LOAD_BALANCER_ANNOTATIONS = {
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
    references=("PSS", "Kyverno:psa/add-psa-labels"),
)
def pod_security(props: Props) -> Findings:
    path = 'metadata.labels["pod-security.kubernetes.io/enforce"]'
    accepted = Requirement("must be restricted or baseline", lambda level: level in ("restricted", "baseline"))
    yield from expect(props, path, accepted, "every pod is admitted")


@stack_control(
    "k8s-namespace-network-policy",
    title="Every namespace has a network policy that limits its connections",
    severity="high",
    types=(NAMESPACE,),
    remedy="declare a NetworkPolicy in the namespace that denies by default",
    references=("CIS 4.3.2",),
)
def network_policy(stack: Stack) -> StackFindings:
    policies = of_type(stack, NETWORK_POLICY)
    for namespace in of_type(stack, NAMESPACE):
        if look_up(namespace.props, "metadata.name") not in BUILT_IN:
            alternatives = [chain(_expect_limits(policy), _expect_in(policy, namespace)) for policy in policies]
            for finding in pass_if_any([*alternatives, ["the namespace must have a NetworkPolicy"]]):
                yield namespace, finding


def _expect_in(policy: Resource, namespace: Resource) -> Findings:
    """Require that the policy is in the namespace. The recorded dependency is known even in a preview."""
    if namespace.urn in policy.property_dependencies.get("metadata", ()):
        return
    policy_namespace, name = look_up(policy.props, "metadata.namespace"), look_up(namespace.props, "metadata.name")
    if UNKNOWN in (policy_namespace, name):
        yield Undecided(f"{policy.name}.metadata.namespace")
    elif policy_namespace != name:
        yield "the namespace must have a NetworkPolicy"


def _expect_limits(policy: Resource) -> Findings:
    """Require that the policy applies to incoming connections, which is the default, and rejects some of them."""
    kinds = as_list(look_up(policy.props, "spec.policyTypes")) or ["Ingress"]
    if not {"Ingress", UNKNOWN} & {kind for kind in kinds if isinstance(kind, str) or kind is UNKNOWN}:
        yield "the namespace must have a NetworkPolicy for incoming connections"
    if any(find_open_rules(policy.props)):
        yield "the namespace must have a NetworkPolicy that does not allow everything"


@control(
    "k8s-service-public-load-balancer",
    title="Services have no load balancer that faces the Internet",
    severity="high",
    types=SERVICE,
    remedy="use ClusterIP behind the gateway, or the cloud's annotation for an internal load balancer",
    references=("CRP:disallowLoadBalancer", "AzPolicy:internal-LB"),
)
def public_load_balancer(props: Props) -> Findings:
    no_balancer = Requirement("must not be LoadBalancer", lambda kind: kind != "LoadBalancer")
    kind = expect(props, "spec.type", no_balancer, "the service is public", absent_passes=True)
    yield from pass_if_any([kind, _expect_internal(look_up(props, "metadata.annotations"))])


def _expect_internal(annotations: Any) -> Findings:
    """Require an annotation that makes the load balancer internal."""
    known = annotations if isinstance(annotations, Mapping) else {}
    if annotations is UNKNOWN or any(known.get(key) is UNKNOWN for key in INTERNAL_LOAD_BALANCER_ANNOTATIONS):
        yield Undecided("metadata.annotations")
    else:
        # An annotation with another value may be the one of the cloud on which the service runs.
        written = {key: value for key, value in INTERNAL_LOAD_BALANCER_ANNOTATIONS.items() if key in known}
        if not written or any(str(known[key]).lower() != value for key, value in written.items()):
            yield "metadata.annotations must make the load balancer internal, otherwise it faces the Internet"


@control(
    "k8s-service-external-ips",
    title="Services do not claim external IP addresses",
    severity="high",
    types=SERVICE,
    remedy="remove spec.externalIPs",
    references=("KSV-0108", "Kyverno:restrict-service-external-ips"),
)
def external_ips(props: Props) -> Findings:
    empty = Requirement("must be empty", lambda addresses: not as_list(addresses))
    risk = "the service can intercept traffic to other addresses"
    yield from expect(props, "spec.externalIPs", empty, risk, absent_passes=True)


@control(
    "k8s-ingress-tls",
    title="Ingresses serve TLS",
    severity="high",
    types=INGRESS,
    remedy="set spec.tls",
    references=("CIS 5.4.5", "AzPolicy:https-only"),
)
def ingress_tls(props: Props) -> Findings:
    def is_named(entry: Any) -> bool:
        return isinstance(entry, Mapping) and any(entry.get(key) for key in ("hosts", "secretName"))

    names_hosts = Requirement("must name hosts or a secret", is_named)
    yield from expect(props, "spec.tls[*]", names_hosts, "requests are not encrypted")


@control(
    "k8s-config-map-secrets",
    title="ConfigMaps contain no secrets",
    severity="high",
    types=CONFIG_MAP,
    remedy="keep the value in the cloud's secret store and refer to it with an ExternalSecret",
    references=("KSV-0109", "KSV-01010"),
)
def config_map_secrets(props: Props) -> Findings:
    yield from find_plain_text_secrets(look_up(props, "data"), ("data",))
