"""Kubernetes objects other than workloads: service accounts, network policies, storage classes, ingresses, budgets."""

from collections.abc import Mapping
from typing import Any

from kernel.paths import look_up
from kernel.values import UNKNOWN
from policies.controls.kubernetes.network_rules import admits_everything
from policies.engine.expectations import IS_FALSE, Requirement, check_each, expect, pass_if_any
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control

SERVICE_ACCOUNT = ("kubernetes:core/v1:ServiceAccount",)
NETWORK_POLICY = ("kubernetes:networking.k8s.io/v1:NetworkPolicy",)
STORAGE_CLASS = ("kubernetes:storage.k8s.io/v1:StorageClass",)
INGRESS = ("kubernetes:networking.k8s.io/v1:Ingress",)
BUDGET = ("kubernetes:policy/v1:PodDisruptionBudget",)


@control(
    "k8s-service-account-token",
    title="Pods without their own service account get no API token",
    severity="medium",
    types=SERVICE_ACCOUNT,
    remedy="set automountServiceAccountToken of the service account default to false",
    references=("CIS 4.1.5",),
)
def service_account_token(props: Props) -> Findings:
    # Other service accounts belong to workloads, which often need one to call the API server.
    if look_up(props, "metadata.name") == "default":
        path = "automountServiceAccountToken"
        yield from expect(props, path, IS_FALSE, "a compromised program can call the API server")


@control(
    "k8s-network-policy-open",
    title="No network policy allows all connections",
    severity="high",
    types=NETWORK_POLICY,
    remedy="name the sources in from, or the ports",
)
def network_policy_open(props: Props) -> Findings:
    def check(where: str, rule: Any) -> Findings:
        if admits_everything(rule):
            yield f"{where} must have sources or ports, otherwise it allows every connection"

    yield from check_each(props, "spec.ingress[*]", check)


@control(
    "k8s-storage-class-encryption",
    title="Volumes are encrypted with a customer-managed key",
    severity="medium",
    types=STORAGE_CLASS,
    remedy="set parameters.kmsKeyId on AWS, parameters.diskEncryptionSetID on Azure",
)
def storage_class_encryption(props: Props) -> Findings:
    risk = "volumes are not encrypted with a key of the account"
    named = Requirement("must be a customer-managed key", lambda key: isinstance(key, str) and key != "")
    yield from pass_if_any(
        [expect(props, f"parameters.{name}", named, risk) for name in ("kmsKeyId", "diskEncryptionSetID")]
    )


@control(
    "k8s-ingress-snippets",
    title="Ingresses contain no NGINX configuration snippets",
    severity="high",
    types=INGRESS,
    remedy="remove the annotations that end in -snippet",
    references=("CKV_K8S_152", "CKV_K8S_153", "CKV_K8S_154"),
)
def ingress_snippets(props: Props) -> Findings:
    annotations = look_up(props, "metadata.annotations")
    if annotations is UNKNOWN:
        yield Undecided("metadata.annotations")
    for key in annotations if isinstance(annotations, Mapping) else ():
        if str(key).startswith("nginx.ingress.kubernetes.io/") and str(key).endswith("-snippet"):
            yield f'metadata.annotations["{key}"] must not be set: it can read the secrets of the ingress controller'


@control(
    "k8s-pdb-evictions",
    title="PodDisruptionBudgets allow an eviction",
    severity="medium",
    types=BUDGET,
    remedy="set maxUnavailable to 1 or more, or minAvailable below the number of replicas",
    references=("CRP:disallowZeroVoluntaryDisruption",),
)
def budget_evictions(props: Props) -> Findings:
    risk = "nodes cannot be drained for upgrades"
    some = Requirement("must not be 0", lambda value: value is not True and str(value) not in ("0", "0.0", "0%"))
    not_all = Requirement("must not be 100%", lambda value: value is not True and str(value) != "100%")
    yield from expect(props, "spec.maxUnavailable", some, risk, absent_passes=True)
    yield from expect(props, "spec.minAvailable", not_all, risk, absent_passes=True)
