"""Kubernetes RBAC: no role or binding amounts to an administrator."""

from collections.abc import Mapping
from typing import Any, Final

from kernel.paths import look_up
from kernel.values import Truth, any_holds, as_list
from policies.controls.kubernetes.rbac_rules import (
    allows_any,
    allows_every_verb,
    allows_everything,
    but_not_everything,
    fail_rules,
    is_unnamed,
)
from policies.engine.control import Setting
from policies.engine.expectations import any_matches, check_each, fail_if_all
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

CLUSTER_ROLE = ("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole",)
ROLES = (*CLUSTER_ROLE, "kubernetes:rbac.authorization.k8s.io/v1:Role")
BINDINGS = (
    "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding",
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
)


RBAC: Final = "rbac.authorization.k8s.io"
READ: Final = ("get", "list", "watch")
WRITE: Final = ("create", "update", "patch", "delete", "deletecollection")


@control(
    "k8s-rbac-wildcard",
    title="No role allows every verb on every resource",
    severity="critical",
    types=ROLES,
    remedy="list the verbs and resources that are needed",
    references=("KSV-0044", "CIS 4.1.3"),
)
def wildcard(props: Props) -> Findings:
    yield from fail_rules(props, allows_everything, "must not allow every verb on every resource")


@control(
    "k8s-rbac-wildcard-verb",
    title="Roles list the verbs that they allow",
    severity="medium",
    types=ROLES,
    remedy="list the verbs that are needed",
    references=("KSV-0045", "CIS 4.1.3"),
)
def wildcard_verb(props: Props) -> Findings:
    def condition(rule: Props) -> Truth:
        return but_not_everything(allows_every_verb(rule), rule)

    yield from fail_rules(props, condition, "must not allow every verb, which includes those of later versions")


@control(
    "k8s-rbac-wildcard-resource",
    title="Roles list the resources that they allow",
    severity="low",
    types=ROLES,
    remedy="list the resources that are needed",
    references=("CIS 4.1.3",),
)
def wildcard_resource(props: Props) -> Findings:
    def condition(rule: Props) -> Truth:
        everything = any_matches(as_list(look_up(rule, "resources")), lambda name: name in ("*", "*/*"))
        return but_not_everything(everything, rule)

    yield from fail_rules(props, condition, "must not allow every resource, which includes those of later versions")


@control(
    "k8s-rbac-cluster-admin",
    title="No subject is bound to an administrator's role",
    severity="critical",
    types=BINDINGS,
    remedy="bind a role with only the permissions that are needed, to a group of your own",
    references=("CIS 4.1.1", "AzPolicy:cluster-admin"),
    settings={"allowed": Setting({"type": "array", "items": {"type": "string"}}, default=[])},
)
def cluster_admin(props: Props, settings: Mapping[str, Any]) -> Findings:
    # `admin` and `edit` are meant for RoleBindings: in each namespace they read secrets and run pods.
    everywhere = look_up(props, "kind") == "ClusterRoleBinding"
    roles = ("cluster-admin", "system:masters", *(("admin", "edit") if everywhere else ()))
    refused = [role for role in roles if role not in settings["allowed"]]
    admin = any_matches([look_up(props, "roleRef.name")], lambda name: name in refused)
    yield from fail_if_all(
        "roleRef.name", [admin], "must not be an administrator's role, otherwise the subjects can do everything"
    )

    def check(where: str, subject: Any) -> Findings:
        masters = any_matches([look_up(subject, "name")], lambda name: name == "system:masters" and name in refused)
        yield from fail_if_all(f"{where}.name", [masters], "must not be the group that has every permission")

    yield from check_each(props, "subjects[*]", check)


@control(
    "k8s-rbac-anonymous",
    title="No role is bound to everybody",
    severity="critical",
    types=BINDINGS,
    remedy="bind the role to named users, groups or service accounts",
)
def anonymous(props: Props) -> Findings:
    everybody = ("system:anonymous", "system:unauthenticated", "system:authenticated", "system:serviceaccounts")

    def check(where: str, subject: Any) -> Findings:
        named = any_matches([look_up(subject, "name")], lambda name: name in everybody)
        yield from fail_if_all(f"{where}.name", [named], "must not be everybody or every workload")

    yield from check_each(props, "subjects[*]", check)


@control(
    "k8s-rbac-default-account",
    title="No role is bound to a default service account",
    severity="medium",
    types=BINDINGS,
    remedy="give the workload its own service account, and bind that",
    references=("CKV_K8S_42", "CIS 4.1.5"),
)
def default_account(props: Props) -> Findings:
    def check(where: str, subject: Any) -> Findings:
        is_account = any_matches([look_up(subject, "kind")], lambda kind: kind == "ServiceAccount")
        is_default = any_matches([look_up(subject, "name")], lambda name: name == "default")
        problem = "must not be the default service account, which every pod without its own has"
        yield from fail_if_all(f"{where}.name", [is_account, is_default], problem)

    yield from check_each(props, "subjects[*]", check)


@control(
    "k8s-rbac-escalation",
    title="No role allows privilege escalation",
    severity="critical",
    types=ROLES,
    remedy="remove the verbs escalate, bind and impersonate, and the creation of service account tokens",
    references=("CKV_K8S_157", "CKV_K8S_158", "CIS-EKS 4.1.8"),
)
def escalation(props: Props) -> Findings:
    roles = [(RBAC, name) for name in ("roles", "clusterroles", "rolebindings", "clusterrolebindings")]
    identities = [("", name) for name in ("users", "groups", "serviceaccounts")]

    def condition(rule: Props) -> Truth:
        allowed = any_holds(
            (
                allows_any(rule, ("escalate", "bind"), *roles),
                allows_any(rule, ("impersonate",), *identities),
                allows_any(rule, ("create",), ("", "serviceaccounts/token")) if is_unnamed(rule) else False,
            )
        )
        return but_not_everything(allowed, rule)

    yield from fail_rules(
        props,
        condition,
        "must not allow privilege escalation, otherwise its subjects can extend their own permissions",
    )


@control(
    "k8s-rbac-secrets",
    title="No cluster role reads or changes the secrets of every namespace",
    severity="high",
    types=CLUSTER_ROLE,
    remedy="use a Role in the namespace, or name the secrets in resourceNames",
    references=("CKV2_K8S_5", "CIS 4.1.2"),
)
def secrets(props: Props) -> Findings:
    def condition(rule: Props) -> Truth:
        allowed = allows_any(rule, (*READ, *WRITE), ("", "secrets"))
        return but_not_everything(allowed, rule) if is_unnamed(rule) else False

    yield from fail_rules(props, condition, "must not read or change the secrets of every namespace")


@control(
    "k8s-rbac-exec",
    title="No role runs commands in pods or reaches kubelets",
    severity="high",
    types=ROLES,
    remedy="remove pods/exec, pods/attach, pods/ephemeralcontainers and nodes/proxy",
    references=("CKV2_K8S_2", "KSV-0047", "KSV-0053", "CIS-EKS 4.1.10"),
)
def exec_in_pods(props: Props) -> Findings:
    def condition(rule: Props) -> Truth:
        allowed = any_holds(
            (
                allows_any(rule, ("get", "create"), ("", "pods/exec"), ("", "pods/attach")),
                allows_any(rule, ("update", "patch"), ("", "pods/ephemeralcontainers")),
                allows_any(rule, (*READ, *WRITE), ("", "nodes/proxy")),
            )
        )
        return but_not_everything(allowed, rule)

    yield from fail_rules(
        props,
        condition,
        "must not allow commands in pods or access to kubelets, otherwise its subjects can act as other pods",
    )
