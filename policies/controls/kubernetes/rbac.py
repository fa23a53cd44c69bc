"""Kubernetes RBAC: no role or binding amounts to an administrator."""

from collections.abc import Callable
from typing import Any

from kernel.paths import look_up
from kernel.values import ABSENT, Truth, as_list
from policies.engine.expectations import any_matches, check_each, fail_if_all
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

CLUSTER_ROLE = ("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole",)
ROLES = (*CLUSTER_ROLE, "kubernetes:rbac.authorization.k8s.io/v1:Role")
BINDINGS = (
    "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding",
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
)


def _fail_rules(props: Props, conditions: Callable[[Props], list[Truth]], problem: str) -> Findings:
    """Report the problem for every rule for which all conditions hold."""

    def check(where: str, rule: Any) -> Findings:
        yield from fail_if_all(where, conditions(rule), problem)

    yield from check_each(props, "rules[*]", check)


def _includes(rule: Props, field: str, *names: str) -> Truth:
    return any_matches(as_list(look_up(rule, field)), lambda value: value in names)


@control(
    "k8s-rbac-wildcard",
    title="No role allows every verb on every resource",
    severity="critical",
    types=ROLES,
    remedy="list the verbs and resources that are needed",
    references=("CKV_K8S_49", "KSV-0044", "KSV-0045", "CIS 4.1.3"),
)
def wildcard(props: Props) -> Findings:
    def conditions(rule: Props) -> list[Truth]:
        return [_includes(rule, "verbs", "*"), _includes(rule, "resources", "*")]

    yield from _fail_rules(props, conditions, "must not allow every verb on every resource")


@control(
    "k8s-rbac-cluster-admin",
    title="No subject is bound to cluster-admin",
    severity="critical",
    types=BINDINGS,
    remedy="bind a role with the permissions that are needed",
    references=("KSV-0111", "CIS 4.1.1", "AzPolicy:cluster-admin"),
)
def cluster_admin(props: Props) -> Findings:
    admin = any_matches([look_up(props, "roleRef.name")], lambda name: name == "cluster-admin")
    yield from fail_if_all(
        "roleRef.name", [admin], "must not be cluster-admin, otherwise the subjects can do everything"
    )


@control(
    "k8s-rbac-escalation",
    title="No role allows privilege escalation",
    severity="critical",
    types=ROLES,
    remedy="remove the verbs escalate, bind and impersonate",
    references=("CKV_K8S_157", "CKV_K8S_158", "KSV-0050", "CIS-EKS 4.1.8"),
)
def escalation(props: Props) -> Findings:
    def conditions(rule: Props) -> list[Truth]:
        return [_includes(rule, "verbs", "escalate", "bind", "impersonate")]

    yield from _fail_rules(
        props,
        conditions,
        "must not allow privilege escalation, otherwise its subjects can extend their own permissions",
    )


@control(
    "k8s-rbac-secrets",
    title="No cluster role reads the secrets of every namespace",
    severity="high",
    types=CLUSTER_ROLE,
    remedy="use a Role in the namespace, or name the secrets in resourceNames",
    references=("CKV2_K8S_5", "KSV-0041", "CIS 4.1.2"),
)
def secrets(props: Props) -> Findings:
    def conditions(rule: Props) -> list[Truth]:
        return [
            _includes(rule, "apiGroups", "", "*"),
            _includes(rule, "resources", "secrets", "*"),
            _includes(rule, "verbs", "get", "list", "watch", "*"),
            look_up(rule, "resourceNames") in (ABSENT, []),
        ]

    yield from _fail_rules(props, conditions, "must not read the secrets of every namespace")


@control(
    "k8s-rbac-exec",
    title="No role runs commands in pods or reaches kubelets",
    severity="high",
    types=ROLES,
    remedy="remove pods/exec, pods/attach and nodes/proxy",
    references=("CKV2_K8S_2", "KSV-0047", "KSV-0053", "CIS-EKS 4.1.10"),
)
def exec_in_pods(props: Props) -> Findings:
    def conditions(rule: Props) -> list[Truth]:
        return [_includes(rule, "resources", "pods/exec", "pods/attach", "nodes/proxy")]

    yield from _fail_rules(
        props,
        conditions,
        "must not allow commands in pods or access to kubelets, otherwise its subjects can act as other pods",
    )
