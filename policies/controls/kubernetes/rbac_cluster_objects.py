"""Kubernetes RBAC for objects of the whole cluster: admission webhooks, certificates, and volumes of nodes."""

from typing import Final

from kernel.values import Truth, any_holds
from policies.controls.kubernetes.rbac_rules import allows_any, but_not_everything, fail_rules, is_unnamed
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

CLUSTER_ROLE = ("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole",)
ADMISSION: Final = "admissionregistration.k8s.io"
CERTIFICATES: Final = "certificates.k8s.io"


@control(
    "k8s-rbac-webhooks",
    title="No role can change any admission webhook",
    severity="high",
    types=CLUSTER_ROLE,
    remedy="name the configurations in resourceNames",
    references=("CKV_K8S_155", "KSV-0114", "CIS-EKS 4.1.11"),
)
def webhooks(props: Props) -> Findings:
    verbs = ("create", "update", "patch", "delete", "deletecollection")
    configurations = [(ADMISSION, f"{kind}webhookconfigurations") for kind in ("mutating", "validating")]

    def condition(rule: Props) -> Truth:
        return but_not_everything(allows_any(rule, verbs, *configurations), rule) if is_unnamed(rule) else False

    yield from fail_rules(
        props, condition, "must not change any webhook, otherwise its subjects can read and change every object"
    )


@control(
    "k8s-rbac-certificates",
    title="No role can approve certificates for any signer",
    severity="high",
    types=CLUSTER_ROLE,
    remedy="remove certificatesigningrequests/approval and the verb approve, or name the signers in resourceNames",
    references=("CKV_K8S_156",),
)
def certificates(props: Props) -> Findings:
    def condition(rule: Props) -> Truth:
        allowed = any_holds(
            (
                allows_any(rule, ("update", "patch"), (CERTIFICATES, "certificatesigningrequests/approval")),
                allows_any(rule, ("approve",), (CERTIFICATES, "signers")),
            )
        )
        return but_not_everything(allowed, rule) if is_unnamed(rule) else False

    yield from fail_rules(
        props, condition, "must not allow the approval of certificates, otherwise its subjects can sign in as anybody"
    )


@control(
    "k8s-rbac-persistent-volumes",
    title="No role creates persistent volumes",
    severity="medium",
    types=CLUSTER_ROLE,
    remedy="remove create on persistentvolumes; claims get their volumes from a storage class",
    references=("CIS-EKS 4.1.9",),
)
def persistent_volumes(props: Props) -> Findings:
    def condition(rule: Props) -> Truth:
        return but_not_everything(allows_any(rule, ("create",), ("", "persistentvolumes")), rule)

    yield from fail_rules(props, condition, "must not allow new persistent volumes, which can be directories of nodes")
