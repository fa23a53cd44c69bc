"""Cases of pods beyond the Pod Security Standards, of reliable workloads, and of roles for the whole cluster."""

from typing import Any

from tests.support.policies.cases import UNKNOWN_TEXT, Cases, Declared, Subject, property_cases, resource_cases
from tests.support.policies.kubernetes_cases import (
    CHART,
    CONFIG_MAP,
    CRON_JOB,
    DEPLOYMENT,
    ENDPOINTS,
    NAMESPACE,
    QUOTA,
    RELEASE,
    SERVICE,
    in_containers,
    pods,
    run,
    with_pod,
)
from tests.support.policies.rbac_cases import ACCOUNT, CLUSTER_ROLE, rules

STATEFUL_SET, JOB = "kubernetes:apps/v1:StatefulSet", "kubernetes:batch/v1:Job"
CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"
STORAGE_CLASS, VOLUME = "kubernetes:storage.k8s.io/v1:StorageClass", "kubernetes:core/v1:PersistentVolume"
ADMISSION, CERTIFICATES = "admissionregistration.k8s.io", "certificates.k8s.io"
DIGEST = f"registry.k8s.io/pause@sha256:{'a' * 64}"
PROBE = {"httpGet": {"path": "/healthz", "port": 8080}}
ZONE = "topology.kubernetes.io/zone"
PREFERRED = {"preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": {"topologyKey": ZONE}}]}
ZONES = [{"topologyKey": ZONE, "maxSkew": 1}]


def from_secret(reference: object) -> dict[str, Any]:
    return {"name": "main", "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": reference}}]}


def probed(**probes: object) -> dict[str, Any]:
    return run({"name": "main", **probes})


def lasting(cases: Cases) -> Cases:
    """The cases without those of jobs."""
    jobs = (JOB, CRON_JOB)
    return Cases(
        compliant=[subject for subject in cases.compliant if subject[0].type not in jobs],
        violating=[subject for subject in cases.violating if subject[0].type not in jobs],
        absent=cases.absent,
        unknown=cases.unknown,
        other_type=[Declared(JOB, cases.violating[0][0].props)],
    )


def replicated(count: object, **pod: Any) -> dict[str, Any]:
    return {"spec": {"replicas": count, "template": {"spec": pod}}}


def cron_job(**spec: Any) -> dict[str, Any]:
    return {"spec": {"jobTemplate": {"spec": spec}}}


def quota(**refs: str) -> Subject:
    owner = Declared(NAMESPACE, {"metadata": {"name": "mlflow"}}, "space")
    return [owner, Declared(QUOTA, {"metadata": {"namespace": UNKNOWN_TEXT}}, "quota", refs)]


CASES: dict[str, Cases] = {
    "k8s-pod-token": pods(
        good=[{"automountServiceAccountToken": False}, {"serviceAccountName": "mlflow"}],
        bad=[
            {"automountServiceAccountToken": True},
            {"serviceAccountName": "default", "automountServiceAccountToken": True},
        ],
        absent=("fails", {}),
        unknown={"automountServiceAccountToken": UNKNOWN_TEXT},
    ),
    "k8s-pod-secret-environment": pods(
        good=[run({"name": "main", "env": [{"name": "LOG_LEVEL", "value": "info"}]})],
        bad=[
            run(from_secret({"name": "database", "key": "password"})),
            run({"name": "main", "envFrom": [{"secretRef": {"name": "database"}}]}),
        ],
        absent=("passes", run({"name": "main"})),
        unknown=run({"name": "main", "env": UNKNOWN_TEXT}),
    ),
    "k8s-pod-image-digest": in_containers(
        "image", good=(DIGEST,), bad=("registry.k8s.io/pause:3.10", ""), absent="fails"
    ),
    "k8s-pod-probes": lasting(
        pods(
            good=[probed(livenessProbe=PROBE, readinessProbe=PROBE)],
            bad=[probed(livenessProbe={}, readinessProbe=PROBE), probed(livenessProbe=PROBE, readinessProbe={})],
            absent=("fails", run({"name": "main"})),
            unknown=probed(livenessProbe=UNKNOWN_TEXT, readinessProbe=PROBE),
        )
    ),
    "k8s-pod-host-aliases": pods(
        good=[{"hostAliases": []}],
        bad=[{"hostAliases": [{"ip": "127.0.0.1", "hostnames": ["a.example"]}]}],
        absent=("passes", {}),
        unknown={"hostAliases": UNKNOWN_TEXT},
    ),
    "k8s-pod-shared-processes": pods(
        good=[{"shareProcessNamespace": False}],
        bad=[{"shareProcessNamespace": True}],
        absent=("passes", {}),
        unknown={"shareProcessNamespace": UNKNOWN_TEXT},
    ),
    "k8s-workload-replicas": property_cases(
        (DEPLOYMENT, STATEFUL_SET), "spec.replicas", good=(2, 0), bad=(1,), absent="passes", other=ENDPOINTS
    ),
    "k8s-workload-spread": resource_cases(
        DEPLOYMENT,
        good=[
            replicated(2, topologySpreadConstraints=ZONES),
            replicated(3, affinity={"podAntiAffinity": PREFERRED}),
            replicated(1),
        ],
        bad=[replicated(2), replicated(2, topologySpreadConstraints=[], affinity={"podAntiAffinity": {}})],
        absent=("passes", {}),
        unknown=("undecided", replicated(UNKNOWN_TEXT)),
        other=ENDPOINTS,
        more_bad=[[Declared(STATEFUL_SET, replicated(2))]],
    ),
    "k8s-job-deadline": resource_cases(
        CRON_JOB,
        good=[cron_job(activeDeadlineSeconds=3600)],
        bad=[cron_job(activeDeadlineSeconds=0)],
        absent=("fails", cron_job()),
        unknown=("undecided", cron_job(activeDeadlineSeconds=UNKNOWN_TEXT)),
        other=DEPLOYMENT,
        more_bad=[[Declared(JOB, {"spec": {"activeDeadlineSeconds": 0, "template": {"spec": {}}}})]],
    ),
    "k8s-job-cleanup": property_cases(
        JOB, "spec.ttlSecondsAfterFinished", good=(0, 3600), bad=(-1,), absent="fails", other=CRON_JOB
    ),
    "k8s-cron-job-concurrency": property_cases(
        CRON_JOB, "spec.concurrencyPolicy", good=("Forbid", "Replace"), bad=("Allow",), absent="fails", other=JOB
    ),
    "k8s-storage-class-expansion": property_cases(
        STORAGE_CLASS, "allowVolumeExpansion", good=(True,), bad=(False,), absent="fails", other=VOLUME
    ),
    "k8s-service-node-port": property_cases(
        SERVICE, "spec.type", good=("ClusterIP",), bad=("NodePort",), absent="passes", other=ENDPOINTS
    ),
    "k8s-namespace-quota": Cases(
        compliant=[
            quota(metadata="space"),
            [
                Declared(NAMESPACE, {"metadata": {"name": "mlflow"}}),
                Declared(QUOTA, {"metadata": {"namespace": "mlflow"}}, "quota"),
            ],
            [Declared(NAMESPACE, {"metadata": {"name": "kube-system"}})],
        ],
        violating=[
            [Declared(NAMESPACE, {"metadata": {"name": "mlflow"}})],
            [
                Declared(NAMESPACE, {"metadata": {"name": "mlflow"}}),
                Declared(QUOTA, {"metadata": {"namespace": "serving"}}, "quota"),
            ],
        ],
        absent=("fails", [Declared(NAMESPACE, {"metadata": {"name": "mlflow"}}), Declared(QUOTA, name="quota")]),
        unknown=("undecided", quota()),
        other_type=[Declared(ENDPOINTS)],
    ),
    "k8s-default-namespace": Cases(
        compliant=[
            [Declared(subject[0].type, {**subject[0].props, "metadata": {"namespace": "mlflow"}})]
            for subject in with_pod({})[:2]
        ],
        violating=[
            [Declared(kind, {"metadata": {"namespace": "default"}})]
            for kind in (*(subject[0].type for subject in with_pod({})), CONFIG_MAP, SERVICE, CLAIM)
        ],
        absent=("passes", [Declared(DEPLOYMENT, {"metadata": {"name": "mlflow"}})]),
        unknown=("undecided", [Declared(DEPLOYMENT, {"metadata": {"namespace": UNKNOWN_TEXT}})]),
        other_type=[Declared(NAMESPACE, {"metadata": {"namespace": "default"}})],
    ),
    "k8s-helm-namespace": property_cases(
        RELEASE, "namespace", good=("mlflow",), bad=("default",), absent="fails", other=CHART
    ),
    "k8s-rbac-webhooks": resource_cases(
        CLUSTER_ROLE,
        good=[
            rules("get", "list", groups=(ADMISSION,), resources=("mutatingwebhookconfigurations",)),
            rules(
                "update",
                groups=(ADMISSION,),
                resources=("validatingwebhookconfigurations",),
                resourceNames=["cert-manager-webhook"],
            ),
        ],
        bad=[
            rules("update", groups=(ADMISSION,), resources=("mutatingwebhookconfigurations",)),
            rules("patch", groups=("*",), resources=("validatingwebhookconfigurations",)),
        ],
        absent=("passes", {}),
        unknown=("undecided", rules("update", groups=(ADMISSION,), resources=(UNKNOWN_TEXT,))),
        other=ACCOUNT,
    ),
    "k8s-rbac-certificates": resource_cases(
        CLUSTER_ROLE,
        good=[
            rules("create", groups=(CERTIFICATES,), resources=("certificatesigningrequests",)),
            rules("approve", groups=(CERTIFICATES,), resources=("signers",), resourceNames=["issuers.example/a"]),
        ],
        bad=[
            rules("update", groups=(CERTIFICATES,), resources=("certificatesigningrequests/approval",)),
            rules("approve", groups=(CERTIFICATES,), resources=("signers",)),
        ],
        absent=("passes", {}),
        unknown=("undecided", rules("update", groups=(CERTIFICATES,), resources=(UNKNOWN_TEXT,))),
        other=ACCOUNT,
    ),
    "k8s-rbac-persistent-volumes": resource_cases(
        CLUSTER_ROLE,
        good=[rules("get", resources=("persistentvolumes",)), rules("create", resources=("persistentvolumeclaims",))],
        bad=[rules("create", resources=("persistentvolumes",))],
        absent=("passes", {}),
        unknown=("undecided", rules("create", resources=(UNKNOWN_TEXT,))),
        other=ACCOUNT,
    ),
}
