"""The five cases of every control in Kubernetes."""

from collections.abc import Sequence
from typing import Any, Final

from tests.support.policies.cases import (
    UNKNOWN_TEXT,
    Cases,
    Declared,
    Outcome,
    Subject,
    nested,
    property_cases,
    resource_cases,
)

POD, DEPLOYMENT = "kubernetes:core/v1:Pod", "kubernetes:apps/v1:Deployment"
TEMPLATED = (
    DEPLOYMENT,
    "kubernetes:apps/v1:StatefulSet",
    "kubernetes:apps/v1:DaemonSet",
    "kubernetes:apps/v1:ReplicaSet",
    "kubernetes:batch/v1:Job",
    "kubernetes:core/v1:ReplicationController",
)
CRON_JOB, ENDPOINTS = "kubernetes:batch/v1:CronJob", "kubernetes:core/v1:Endpoints"
POD_TEMPLATE = "kubernetes:core/v1:PodTemplate"
NAMESPACE, QUOTA = "kubernetes:core/v1:Namespace", "kubernetes:core/v1:ResourceQuota"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
SERVICE, CONFIG_MAP = "kubernetes:core/v1:Service", "kubernetes:core/v1:ConfigMap"
INGRESS, INGRESS_CLASS = (
    "kubernetes:networking.k8s.io/v1:Ingress",
    "kubernetes:networking.k8s.io/v1:IngressClass",
)
ACCOUNT = "kubernetes:core/v1:ServiceAccount"
RELEASE, CHART = "kubernetes:helm.sh/v3:Release", "kubernetes:helm.sh/v3:Chart"


def with_pod(pod: dict[str, Any]) -> list[Subject]:
    """The same pod in every kind that carries one."""
    template = {"template": {"spec": pod}}
    return [
        [Declared(POD, {"spec": pod})],
        *([Declared(kind, {"spec": template})] for kind in TEMPLATED),
        [Declared(CRON_JOB, {"spec": {"jobTemplate": {"spec": template}}})],
        [Declared(POD_TEMPLATE, template)],
    ]


def pods(
    good: list[dict[str, Any]],
    bad: list[dict[str, Any]],
    absent: tuple[Outcome, dict[str, Any]],
    unknown: dict[str, Any],
) -> Cases:
    return Cases(
        compliant=[subject for pod in good for subject in with_pod(pod)],
        violating=[subject for pod in bad for subject in with_pod(pod)],
        absent=(absent[0], with_pod(absent[1])[1]),
        unknown=("undecided", with_pod(unknown)[1]),
        other_type=[Declared(ENDPOINTS, {"spec": bad[0]})],
    )


def run(container: dict[str, Any], kind: str = "containers") -> dict[str, Any]:
    """A pod with one container of the given kind, beside the main container that every pod has."""
    return {"containers": [container]} if kind == "containers" else {"containers": [], kind: [container]}


def in_containers(
    path: str, *, good: tuple[object, ...], bad: tuple[object, ...], absent: Outcome, ephemeral: bool = True
) -> Cases:
    """Cases for a control that reads one property of every container."""
    kinds = ("containers", "initContainers", *(["ephemeralContainers"] if ephemeral else []))
    return pods(
        good=[run(nested(path, value), kind) for value in good for kind in kinds],
        bad=[run({"name": "main", **nested(path, value)}, kind) for value in bad for kind in kinds],
        absent=(absent, run({"name": "main"})),
        unknown=run(nested(path, UNKNOWN_TEXT)),
    )


def secure(**settings: object) -> dict[str, Any]:
    return {"securityContext": settings}


def needs(cpu: object, memory: object, limit: object) -> dict[str, Any]:
    return {"name": "main", "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": limit}}}


def balancer(annotations: object = None) -> dict[str, Any]:
    noted = {} if annotations is None else {"metadata": {"annotations": annotations}}
    return {"spec": {"type": "LoadBalancer"}, **noted}


def namespace(policy: Declared | None) -> Subject:
    owner = Declared(NAMESPACE, {"metadata": {"name": "mlflow"}}, "space")
    return [owner] if policy is None else [owner, policy]


def values(tree: object) -> dict[str, Any]:
    return {"values": tree}


LABEL = "pod-security.kubernetes.io/enforce"
AZURE_INTERNAL = "service.beta.kubernetes.io/azure-load-balancer-internal"
AWS_SCHEME = "service.beta.kubernetes.io/aws-load-balancer-scheme"
PRIVATE_KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow"

ROOT: Final[Sequence[dict[str, Any]]] = ({"runAsNonRoot": False}, {"runAsUser": 0})

CASES: dict[str, Cases] = {
    "k8s-pod-privileged": in_containers("securityContext.privileged", good=(False,), bad=(True,), absent="passes"),
    "k8s-pod-host-namespaces": pods(
        good=[{"hostPID": False, "hostNetwork": False}],
        bad=[{"hostPID": True}, {"hostIPC": True}, {"hostNetwork": True, "hostPID": UNKNOWN_TEXT}],
        absent=("passes", {}),
        unknown={"hostNetwork": UNKNOWN_TEXT},
    ),
    "k8s-pod-privilege-escalation": in_containers(
        "securityContext.allowPrivilegeEscalation", good=(False,), bad=(True,), absent="fails"
    ),
    "k8s-pod-non-root": pods(
        good=[
            run(secure(runAsNonRoot=True)),
            {**secure(runAsNonRoot=True), **run({"name": "main"})},
            {**secure(runAsUser=1000), **run(secure(runAsNonRoot=True))},
        ],
        bad=[
            run(secure(runAsNonRoot=False)),
            # Pod Security rejects the pod's setting even if all containers override it.
            *({**secure(**unsafe), **run(secure(runAsNonRoot=True, runAsUser=1000))} for unsafe in ROOT),
            {**secure(runAsNonRoot=True), **run(secure(runAsNonRoot=False))},
            {**secure(runAsNonRoot=True, runAsUser=0), **run({"name": "main"})},
            {**run({"name": "first"}, "initContainers"), "containers": [secure(runAsNonRoot=True)]},
        ],
        absent=("fails", run({"name": "main"})),
        unknown={**secure(runAsNonRoot=UNKNOWN_TEXT), **run({"name": "main"})},
    ),
    "k8s-pod-drop-capabilities": in_containers(
        "securityContext.capabilities.drop", good=(["ALL"],), bad=(["NET_RAW"], []), absent="fails"
    ),
    "k8s-pod-added-capabilities": in_containers(
        "securityContext.capabilities.add",
        good=([], ["NET_BIND_SERVICE"]),
        bad=(["NET_BIND_SERVICE", "SYS_ADMIN"],),
        absent="passes",
    ),
    "k8s-pod-seccomp": pods(
        good=[
            run(secure(seccompProfile={"type": "RuntimeDefault"})),
            {**secure(seccompProfile={"type": "Localhost"}), **run({"name": "main"})},
        ],
        bad=[
            {**secure(seccompProfile={"type": "RuntimeDefault"}), **run(secure(seccompProfile={"type": "Unconfined"}))}
        ],
        absent=("fails", run({"name": "main"})),
        unknown=run(secure(seccompProfile={"type": UNKNOWN_TEXT})),
    ),
    "k8s-pod-read-only-root": in_containers(
        "securityContext.readOnlyRootFilesystem", good=(True,), bad=(False,), absent="fails"
    ),
    "k8s-pod-host-path": pods(
        good=[{"volumes": [{"name": "tmp", "emptyDir": {}}]}],
        bad=[{"volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "node", "hostPath": {"path": "/var/run"}}]}],
        absent=("passes", {}),
        unknown={"volumes": [UNKNOWN_TEXT]},
    ),
    "k8s-pod-host-port": pods(
        good=[run({"ports": [{"containerPort": 8080}]}), run({"ports": [{"hostPort": 0}]})],
        bad=[run({"ports": [{"containerPort": 80}, {"hostPort": 80}]})],
        absent=("passes", run({"name": "main"})),
        unknown=run({"ports": [{"hostPort": UNKNOWN_TEXT}]}),
    ),
    "k8s-pod-image-tag": in_containers(
        "image",
        good=("ghcr.io/mlflow/mlflow:v3.1.0", "registry:5000/a@sha256:0123456789abcdef"),
        bad=("ghcr.io/mlflow/mlflow:latest", "ghcr.io/mlflow/mlflow", "registry:5000/mlflow"),
        absent="fails",
    ),
    "k8s-pod-image-registry": in_containers(
        "image",
        good=(
            "ours.azurecr.io/train:1",
            "111122223333.dkr.ecr.eu-west-1.amazonaws.com/train:1",
            "grafana/loki:3",
            "nginx:1",
        ),
        bad=(
            "registry.example.com/train:1",
            "evil.io/x.azurecr.io/train:1",
            "ours.azurecr.io.evil.io/train:1",
            "evilazurecr.io/train:1",
        ),
        absent="fails",
    ),
    "k8s-pod-resources": pods(
        good=[
            run(needs("1", "1Gi", "1Gi")),
            {**run(needs("1", "1Gi", "1Gi")), "ephemeralContainers": [{"name": "debug"}]},
        ],
        bad=[run(needs("1", "1Gi", None)), run(needs(None, "1Gi", "1Gi"), "initContainers")],
        absent=("fails", run({"name": "main"})),
        unknown=run(needs("1", "1Gi", UNKNOWN_TEXT)),
    ),
    "k8s-namespace-pod-security": resource_cases(
        NAMESPACE,
        good=[{"metadata": {"labels": {LABEL: "restricted"}}}, {"metadata": {"labels": {LABEL: "baseline"}}}],
        bad=[{"metadata": {"labels": {LABEL: "privileged"}}}, {"metadata": {"labels": {"team": "ml"}}}],
        absent=("fails", {}),
        unknown=("undecided", {"metadata": {"labels": {LABEL: UNKNOWN_TEXT}}}),
        other=QUOTA,
    ),
    "k8s-namespace-network-policy": Cases(
        compliant=[
            namespace(Declared(NETWORK_POLICY, nested("metadata.namespace", "mlflow"), "deny")),
            namespace(
                Declared(NETWORK_POLICY, nested("metadata.namespace", UNKNOWN_TEXT), "deny", {"metadata": "space"})
            ),
            [Declared(NAMESPACE, nested("metadata.name", "kube-system"))],
        ],
        violating=[
            namespace(None),
            namespace(Declared(NETWORK_POLICY, nested("metadata.namespace", "kserve"), "deny")),
        ],
        absent=("fails", namespace(Declared(NETWORK_POLICY, {}, "deny"))),
        unknown=("undecided", namespace(Declared(NETWORK_POLICY, nested("metadata.namespace", UNKNOWN_TEXT), "deny"))),
        other_type=[Declared(QUOTA, {"metadata": {"name": "mlflow"}})],
    ),
    "k8s-service-public-load-balancer": resource_cases(
        SERVICE,
        good=[
            nested("spec.type", "ClusterIP"),
            balancer({AZURE_INTERNAL: "true"}),
            balancer({AWS_SCHEME: "internal"}),
        ],
        bad=[balancer(), balancer({AZURE_INTERNAL: "false"}), balancer({AWS_SCHEME: "internet-facing"})],
        absent=("passes", {}),
        unknown=("undecided", balancer({AWS_SCHEME: UNKNOWN_TEXT})),
        other=ENDPOINTS,
    ),
    "k8s-service-external-ips": property_cases(
        SERVICE, "spec.externalIPs", good=([],), bad=(["203.0.113.7"],), absent="passes", other=ENDPOINTS
    ),
    "k8s-ingress-tls": property_cases(
        INGRESS,
        "spec.tls",
        good=([{"secretName": "front"}],),
        bad=([], [{}]),
        absent="fails",
        other=INGRESS_CLASS,
    ),
    "k8s-config-map-secrets": resource_cases(
        CONFIG_MAP,
        good=[
            {"data": {"log_level": "info", "DB_PASSWORD": "$(DB_PASSWORD)", "secretName": "mlflow-database"}},
            {"data": {"uri": "postgresql://mlflow:$(PASSWORD)@database:5432/mlflow", "endpoint": UNKNOWN_TEXT}},
        ],
        bad=[
            {"data": {"DB_PASSWORD": "hunter2hunter2"}},
            {"data": {"uri": "postgresql://mlflow:hunter2hunter2@database:5432/mlflow"}},
            {"data": {"tls.pem": PRIVATE_KEY}},
            {"data": {"config.ini": "aws = AKIAABCDEFGHIJKLMNOP", "api-key": UNKNOWN_TEXT}},
        ],
        absent=("passes", {}),
        unknown=("undecided", {"data": {"DB_PASSWORD": UNKNOWN_TEXT}}),
        other=QUOTA,
    ),
    "k8s-helm-version": property_cases(
        RELEASE,
        "version",
        good=("1.2.3", "v1.21.1", "2.0.0-rc.1"),
        bad=("^1.2.0", ">=1.0.0", "1.2", "1.x.x", "*"),
        absent="fails",
        other=CHART,
    ),
    "k8s-helm-repository": resource_cases(
        RELEASE,
        good=[
            {"chart": "mlflow", "repositoryOpts": {"repo": "https://charts.example.com"}},
            {"chart": "oci://ghcr.io/charts/mlflow"},
        ],
        bad=[
            {"chart": "mlflow", "repositoryOpts": {"repo": "http://charts.example.com"}},
            {"chart": "stable/mlflow"},
        ],
        absent=("fails", {}),
        unknown=("undecided", {"chart": "mlflow", "repositoryOpts": {"repo": UNKNOWN_TEXT}}),
        other=CHART,
    ),
    "k8s-helm-plain-secrets": resource_cases(
        RELEASE,
        good=[
            values({"admin": {"existingSecret": "grafana-admin", "password": ""}, "serviceAccountToken": True}),
            values({"existingDatabaseSecret": {"name": "mlflow-database", "passwordKey": "password"}}),
            values({"extraEnv": [{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "mlflow-database"}}}]}),
            values({"imagePullSecret": "pull", "envFromSecret": "mlflow-env", "tokenRef": UNKNOWN_TEXT}),
        ],
        bad=[
            values({"grafana": {"adminPassword": "hunter2hunter2"}}),
            values({"extraEnv": [{"name": "S3_SECRET_KEY", "value": "hunter2hunter2"}]}),
            values({"users": [{"name": "admin", "password": "hunter2hunter2"}]}),
            values({"backend": {"uri": "postgresql://mlflow:hunter2hunter2@database/mlflow"}, "token": UNKNOWN_TEXT}),
        ],
        absent=("passes", {}),
        unknown=("undecided", values({"grafana": {"adminPassword": UNKNOWN_TEXT}})),
        other=CHART,
    ),
    "k8s-helm-floating-image": resource_cases(
        RELEASE,
        good=[values({"image": {"repository": "mlflow", "tag": "v3.1.0"}, "channel": "latest"})],
        bad=[
            values({"sidecars": [{"image": {"tag": "latest"}}]}),
            values({"initImage": "busybox:latest"}),
        ],
        absent=("passes", {}),
        unknown=("undecided", values({"image": {"tag": UNKNOWN_TEXT}})),
        other=CHART,
    ),
    "k8s-helm-atomic": property_cases(RELEASE, "atomic", good=(True,), bad=(False,), absent="fails", other=CHART),
}
