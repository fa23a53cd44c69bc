"""Cases of the controls over Kubernetes roles and their bindings."""

from typing import Any

from tests.support.policies.cases import UNKNOWN_TEXT, Cases, Declared, resource_cases

CLUSTER_ROLE, ROLE = (f"kubernetes:rbac.authorization.k8s.io/v1:{kind}" for kind in ("ClusterRole", "Role"))
RBAC = "rbac.authorization.k8s.io"
CLUSTER_BINDING, BINDING = (
    f"kubernetes:rbac.authorization.k8s.io/v1:{kind}" for kind in ("ClusterRoleBinding", "RoleBinding")
)
ACCOUNT = "kubernetes:core/v1:ServiceAccount"


def subjects(*names: str) -> dict[str, Any]:
    return {"subjects": [{"kind": "Group", "name": name} for name in names]}


def account(*names: str) -> dict[str, Any]:
    return {"subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "mlflow"} for name in names]}


def rules(*verbs: str, groups: tuple[str, ...] = ("",), resources: tuple[str, ...], **more: Any) -> dict[str, Any]:
    rule = {"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs), **more}
    return {"rules": [rule]}


CASES: dict[str, Cases] = {
    "k8s-rbac-wildcard": resource_cases(
        CLUSTER_ROLE,
        good=[rules("*", resources=("pods",)), rules("get", resources=("*",))],
        bad=[rules("*", resources=("*",))],
        absent=("passes", {}),
        unknown=("undecided", rules("*", resources=(UNKNOWN_TEXT,))),
        other=ACCOUNT,
        more_bad=[[Declared(ROLE, rules("get", "*", resources=("pods", "*")))]],
    ),
    "k8s-rbac-wildcard-verb": resource_cases(
        CLUSTER_ROLE,
        good=[rules("get", "list", resources=("*",)), rules("*", resources=("*",))],
        bad=[rules("*", resources=("pods",))],
        absent=("passes", {}),
        unknown=("undecided", rules(UNKNOWN_TEXT, resources=("pods",))),
        other=ACCOUNT,
        more_bad=[[Declared(ROLE, rules("get", "*", resources=("pods",)))]],
    ),
    "k8s-rbac-wildcard-resource": resource_cases(
        CLUSTER_ROLE,
        good=[rules("get", resources=("pods", "pods/log")), rules("*", resources=("*",))],
        bad=[rules("get", resources=("*",)), rules("list", groups=("apps",), resources=("pods", "*/*"))],
        absent=("passes", {}),
        unknown=("undecided", rules("get", resources=(UNKNOWN_TEXT,))),
        other=ACCOUNT,
        more_bad=[[Declared(ROLE, rules("get", resources=("*",)))]],
    ),
    "k8s-rbac-cluster-admin": resource_cases(
        CLUSTER_BINDING,
        good=[{"roleRef": {"name": "view"}}, subjects("platform-team")],
        bad=[{"roleRef": {"name": "cluster-admin"}}, subjects("platform-team", "system:masters")],
        absent=("passes", {}),
        unknown=("undecided", {"roleRef": {"name": UNKNOWN_TEXT}}),
        other=ACCOUNT,
        more_bad=[
            [Declared(BINDING, {"roleRef": {"name": "cluster-admin"}})],
            [Declared(BINDING, subjects("system:masters"))],
        ],
        also_undecided=[[Declared(BINDING, subjects(UNKNOWN_TEXT))]],
    ),
    "k8s-rbac-anonymous": resource_cases(
        CLUSTER_BINDING,
        good=[subjects("platform-team", "system:serviceaccount:mlflow:mlflow")],
        bad=[
            subjects("mlflow", f"system:{name}")
            for name in ("anonymous", "unauthenticated", "authenticated", "serviceaccounts")
        ],
        absent=("passes", {}),
        unknown=("undecided", subjects(UNKNOWN_TEXT)),
        other=ACCOUNT,
        more_bad=[[Declared(BINDING, subjects("system:authenticated"))]],
    ),
    "k8s-rbac-default-account": resource_cases(
        CLUSTER_BINDING,
        good=[account("mlflow"), subjects("default")],
        bad=[account("mlflow", "default")],
        absent=("passes", {}),
        unknown=("undecided", account(UNKNOWN_TEXT)),
        other=ACCOUNT,
        more_bad=[[Declared(BINDING, account("default"))]],
    ),
    "k8s-rbac-escalation": resource_cases(
        CLUSTER_ROLE,
        good=[rules("get", "update", resources=("roles",))],
        bad=[
            *(rules(verb, groups=(RBAC,), resources=("roles",)) for verb in ("escalate", "bind", "*")),
            *(rules("impersonate", resources=(name,)) for name in ("users", "groups", "serviceaccounts", "*")),
            rules("create", resources=("serviceaccounts/token",)),
        ],
        absent=("passes", {}),
        unknown=("undecided", rules("get", UNKNOWN_TEXT, groups=(RBAC,), resources=("roles",))),
        other=ACCOUNT,
        more_bad=[[Declared(ROLE, rules("get", "bind", groups=(RBAC,), resources=("roles",)))]],
    ),
    "k8s-rbac-secrets": resource_cases(
        CLUSTER_ROLE,
        good=[
            rules("*", resources=("*",)),
            rules("get", resources=("secrets",), resourceNames=["webhook-ca"]),
            rules("get", groups=("apps",), resources=("*",)),
        ],
        bad=[
            rules("get", resources=("configmaps", "secrets")),
            *(rules(verb, resources=("secrets",)) for verb in ("create", "update", "patch", "deletecollection", "*")),
            rules("get", groups=("*",), resources=("*",)),
            rules("watch", resources=("secrets",), resourceNames=[]),
        ],
        absent=("passes", {}),
        unknown=("undecided", rules(UNKNOWN_TEXT, resources=("secrets",))),
        other=ROLE,
    ),
    "k8s-rbac-exec": resource_cases(
        CLUSTER_ROLE,
        good=[rules("get", resources=("pods", "pods/log"))],
        bad=[
            *(rules("create", resources=(name,)) for name in ("pods/exec", "pods/attach", "nodes/proxy")),
            *(rules("create", resources=(name,)) for name in ("*", "pods/*", "*/exec", "*/*")),
            rules("get", groups=("*",), resources=("pods/exec",)),
            rules("patch", resources=("pods/ephemeralcontainers",)),
        ],
        absent=("passes", {}),
        unknown=("undecided", rules("create", resources=(UNKNOWN_TEXT,))),
        other=ACCOUNT,
        more_bad=[[Declared(ROLE, rules("create", resources=("pods/exec",)))]],
    ),
}
