"""Kubernetes RBAC: no role that is an administrator by another name."""

from collections.abc import Callable

from policies.control import control
from policies.props import (
    ABSENT,
    UNKNOWN,
    Marker,
    Props,
    Undecided,
    Verdicts,
    conclude,
    each,
    items,
    lookup,
    some,
)

CLUSTER_ROLE = ("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole",)
ROLES = (*CLUSTER_ROLE, "kubernetes:rbac.authorization.k8s.io/v1:Role")
BINDINGS = (
    "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding",
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
)


def _rules(props: Props, facts: Callable[[Props], list[bool | Marker]], wrong: str) -> Verdicts:
    """Find fault with every rule of which all facts hold."""
    for where, rule in each(props, "rules[]"):
        if rule is UNKNOWN:
            yield Undecided(where)
        elif rule is not ABSENT:
            yield from conclude(where, facts(rule), wrong)


def _names(rule: Props, part: str, *wanted: str) -> bool | Marker:
    return some(items(lookup(rule, part)), lambda value: value in wanted)


@control(
    "k8s-rbac-wildcard",
    title="No role allows every verb on every resource",
    severity="critical",
    types=ROLES,
    remedy="list the verbs and resources that are needed",
    anchors=("CKV_K8S_49", "KSV-0044", "KSV-0045", "CIS 4.1.3"),
)
def wildcard(props: Props) -> Verdicts:
    def facts(rule: Props) -> list[bool | Marker]:
        return [_names(rule, "verbs", "*"), _names(rule, "resources", "*")]

    yield from _rules(props, facts, "allows every verb on every resource")


@control(
    "k8s-rbac-cluster-admin",
    title="Nobody is bound to cluster-admin",
    severity="critical",
    types=BINDINGS,
    remedy="bind a role with what is needed",
    anchors=("KSV-0111", "CIS 4.1.1", "AzPolicy:cluster-admin"),
)
def cluster_admin(props: Props) -> Verdicts:
    admin = some([lookup(props, "roleRef.name")], lambda name: name == "cluster-admin")
    yield from conclude("roleRef.name", [admin], "its subjects may do anything")


@control(
    "k8s-rbac-escalation",
    title="No role may grant itself more",
    severity="critical",
    types=ROLES,
    remedy="remove the verbs escalate, bind and impersonate",
    anchors=("CKV_K8S_157", "CKV_K8S_158", "KSV-0050", "CIS-EKS 4.1.8"),
)
def escalation(props: Props) -> Verdicts:
    def facts(rule: Props) -> list[bool | Marker]:
        return [_names(rule, "verbs", "escalate", "bind", "impersonate")]

    yield from _rules(props, facts, "lets its holder take rights it was not given")


@control(
    "k8s-rbac-secrets",
    title="No cluster role reads every namespace's secrets",
    severity="high",
    types=CLUSTER_ROLE,
    remedy="use a Role in the namespace, or name the secrets in resourceNames",
    anchors=("CKV2_K8S_5", "KSV-0041", "CIS 4.1.2"),
)
def secrets(props: Props) -> Verdicts:
    def facts(rule: Props) -> list[bool | Marker]:
        return [
            _names(rule, "apiGroups", "", "*"),
            _names(rule, "resources", "secrets", "*"),
            _names(rule, "verbs", "get", "list", "watch", "*"),
            lookup(rule, "resourceNames") in (ABSENT, []),
        ]

    yield from _rules(props, facts, "reads what every namespace keeps to itself")


@control(
    "k8s-rbac-exec",
    title="No role opens a shell in pods or speaks to kubelets",
    severity="high",
    types=ROLES,
    remedy="remove pods/exec, pods/attach and nodes/proxy",
    anchors=("CKV2_K8S_2", "KSV-0047", "KSV-0053", "CIS-EKS 4.1.10"),
)
def exec_in_pods(props: Props) -> Verdicts:
    def facts(rule: Props) -> list[bool | Marker]:
        return [_names(rule, "resources", "pods/exec", "pods/attach", "nodes/proxy")]

    yield from _rules(props, facts, "runs commands under other pods' identities")
