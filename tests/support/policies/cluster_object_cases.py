"""Cases of Kubernetes objects other than workloads, and of Azure's roles and identities."""

from typing import Any, Final

from tests.support.policies.cases import UNKNOWN_TEXT, Cases, property_cases, resource_cases

ACCOUNT, SECRET = "kubernetes:core/v1:ServiceAccount", "kubernetes:core/v1:Secret"
POLICY, INGRESS, INGRESS_CLASS = (
    f"kubernetes:networking.k8s.io/v1:{kind}" for kind in ("NetworkPolicy", "Ingress", "IngressClass")
)
STORAGE_CLASS, DRIVER = (f"kubernetes:storage.k8s.io/v1:{kind}" for kind in ("StorageClass", "CSIDriver"))
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
ASSIGNMENT, DEFINITION = (f"azure-native:authorization:{kind}" for kind in ("RoleAssignment", "RoleDefinition"))
CREDENTIAL, IDENTITY = (
    "azure-native:managedidentity:FederatedIdentityCredential",
    "azure-native:managedidentity:UserAssignedIdentity",
)
SUBSCRIPTION: Final = "/subscriptions/00000000-0000-4000-8000-000000000001"
ROLES: Final = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions"
OWNER, CONTRIBUTOR, READER = (
    f"{ROLES}/8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    f"{ROLES}/b24988ac-6180-42a0-ab88-20f7382dd24c",
    f"{ROLES}/acdd72a7-3385-48ef-bd42-f606fba81ae7",
)


def assign(role: str, scope: str = f"{SUBSCRIPTION}/resourceGroups/models") -> dict[str, Any]:
    return {"roleDefinitionId": role, "scope": scope}


def trust(subject: object, issuer: object = "https://oidc.example.com") -> dict[str, Any]:
    return {"subject": subject, "issuer": issuer}


def admit(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"podSelector": {}, "ingress": list(rules)}}


def annotate(key: str) -> dict[str, Any]:
    return {"metadata": {"annotations": {key: "more_set_headers x"}}}


CASES: dict[str, Cases] = {
    "k8s-service-account-token": property_cases(
        ACCOUNT,
        "automountServiceAccountToken",
        good=(False,),
        bad=(True,),
        absent="fails",
        other=SECRET,
        beside={"metadata": {"name": "default"}},
    ),
    "k8s-network-policy-open": resource_cases(
        POLICY,
        good=[admit(), admit({"from": [{"podSelector": {}}]}, {"ports": [{"port": 443}]})],
        bad=[admit({}), admit({"from": [], "ports": []}), admit({"ports": [{"port": 443}]}, {})],
        absent=("passes", {}),
        unknown=("undecided", {"spec": {"ingress": [UNKNOWN_TEXT]}}),
        other=INGRESS,
    ),
    "k8s-storage-class-encryption": resource_cases(
        STORAGE_CLASS,
        good=[{"parameters": {"kmsKeyId": "arn:aws:kms:x"}}, {"parameters": {"diskEncryptionSetID": "/a/b"}}],
        bad=[{"parameters": {"encrypted": "true"}}, {"parameters": {"kmsKeyId": ""}}],
        absent=("fails", {}),
        unknown=("undecided", {"parameters": {"kmsKeyId": UNKNOWN_TEXT}}),
        other=DRIVER,
    ),
    "k8s-ingress-snippets": resource_cases(
        INGRESS,
        good=[annotate("nginx.ingress.kubernetes.io/ssl-redirect"), annotate("example.com/server-snippet")],
        bad=[annotate(f"nginx.ingress.kubernetes.io/{kind}-snippet") for kind in ("server", "configuration", "auth")],
        absent=("passes", {}),
        unknown=("undecided", {"metadata": {"annotations": UNKNOWN_TEXT}}),
        other=INGRESS_CLASS,
    ),
    "k8s-pdb-evictions": resource_cases(
        BUDGET,
        good=[{"spec": {"maxUnavailable": 1}}, {"spec": {"minAvailable": "50%"}}, {"spec": {"minAvailable": 1}}],
        bad=[{"spec": {"maxUnavailable": 0}}, {"spec": {"maxUnavailable": "0%"}}, {"spec": {"minAvailable": "100%"}}],
        absent=("passes", {}),
        unknown=("undecided", {"spec": {"maxUnavailable": UNKNOWN_TEXT}}),
        other=POLICY,
    ),
    "azure-authorization-owner": resource_cases(
        ASSIGNMENT,
        good=[assign(READER), assign(CONTRIBUTOR)],
        bad=[assign(OWNER), assign(OWNER.upper()), assign(f"{ROLES}/18d7d88d-d35e-4fb5-a5c3-7773c20a72d9")],
        absent=("passes", {}),
        unknown=("undecided", assign(UNKNOWN_TEXT)),
        other=DEFINITION,
    ),
    "azure-authorization-subscription-scope": resource_cases(
        ASSIGNMENT,
        good=[assign(CONTRIBUTOR), assign(READER, SUBSCRIPTION)],
        bad=[
            assign(CONTRIBUTOR, SUBSCRIPTION),
            assign(CONTRIBUTOR, f"{SUBSCRIPTION}/"),
            assign(CONTRIBUTOR, "/providers/Microsoft.Management/managementGroups/root"),
        ],
        absent=("passes", {}),
        unknown=("undecided", assign(CONTRIBUTOR, UNKNOWN_TEXT)),
        other=DEFINITION,
    ),
    "azure-identity-federated-subject": resource_cases(
        CREDENTIAL,
        good=[trust("system:serviceaccount:mlflow:mlflow"), trust("repo:acme/models:environment:prod")],
        bad=[trust("repo:acme/*"), trust(""), trust("system:serviceaccount:a:b", "http://oidc.example.com")],
        absent=("fails", {}),
        unknown=("undecided", trust(UNKNOWN_TEXT)),
        other=IDENTITY,
    ),
}
