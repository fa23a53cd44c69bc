"""Checks of pods' cloud identities: federated credentials, associations and trust policies match service accounts.

Sources: https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations,
https://azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html,
https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html and
https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html
"""

from __future__ import annotations

from collections.abc import Iterator

from kernel.iam import Statement, statements
from kernel.paths import look_up
from kernel.values import as_list
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.problem import Problem, describe_object
from rehearsal.simulator.core.resource_model import Resource
from rehearsal.wiring.grants import has_any_grant, list_statements
from rehearsal.wiring.graph import AKS, Wiring, describe, get_annotations

IDENTITY = "azure-native:managedidentity:UserAssignedIdentity"
_CREDENTIAL = "azure-native:managedidentity:FederatedIdentityCredential"
_ASSOCIATION, _ADDON = "aws:eks/podIdentityAssociation:PodIdentityAssociation", "aws:eks/addon:Addon"
_CLIENT_ID, _ROLE_ARN = "azure.workload.identity/client-id", "eks.amazonaws.com/role-arn"
_AUDIENCE = "api://AzureADTokenExchange"
_PODS = "pods.eks.amazonaws.com"
_ACTIONS = ("sts:AssumeRole", "sts:TagSession")
# Session tags that EKS sets, which a trust policy can require.
_TAGS = ("eks-cluster-name", "kubernetes-namespace", "kubernetes-service-account")
_SUBJECT = "system:serviceaccount:"


def find_identity(wiring: Wiring, namespace: str, account: str) -> Resource | None:
    """The identity of pods with a service account: a managed identity or a role; None if they have none."""
    found = wiring.find_account(namespace, account)
    annotations = get_annotations(found) if found else {}
    if _CLIENT_ID in annotations:
        return wiring.find_one(IDENTITY, "clientId", annotations[_CLIENT_ID])
    for association in wiring.clouds.all(_ASSOCIATION):
        if (association.inputs.get("namespace"), association.inputs.get("serviceAccount")) == (namespace, account):
            return wiring.clouds.find(str(association.inputs.get("roleArn")))
    return wiring.clouds.find(annotations[_ROLE_ARN]) if _ROLE_ARN in annotations else None


def find_problems(wiring: Wiring) -> Iterator[Problem]:
    for credential in wiring.clouds.all(_CREDENTIAL):
        yield from _check_credential(wiring, credential)
    for account in wiring.cluster.list("v1", "ServiceAccount"):
        yield from _check_account(wiring, account)
    for association in wiring.clouds.all(_ASSOCIATION):
        yield from _check_association(wiring, association)
    for addon in wiring.clouds.all(_ADDON):
        yield from _check_addon(wiring, addon)


def _check_credential(wiring: Wiring, credential: Resource) -> Iterator[Problem]:
    """Check, on Azure, that its subject is a service account of the cluster that names this identity."""
    inputs = credential.inputs
    subject = str(inputs.get("subject"))
    name = f"{describe(credential)} of {inputs.get('resourceName')}"
    if not subject.startswith(_SUBJECT):
        return
    if "*" in subject:
        yield Problem(
            name, f"its subject {subject} has a wildcard", "name one service account: subjects are compared literally"
        )
        return
    namespace, _, account = subject.removeprefix(_SUBJECT).partition(":")
    issuers = {look_up(cluster.outputs, "oidcIssuerProfile.issuerURL", "") for cluster in wiring.clouds.all(AKS)}
    if issuers and str(inputs.get("issuer")) not in issuers:
        yield Problem(name, "its issuer is not that of the stack's cluster", "use the cluster's oidcIssuerProfile")
    if as_list(inputs.get("audiences")) != [_AUDIENCE]:
        yield Problem(name, f"its audience is not {_AUDIENCE}, for which the webhook requests tokens", "set audiences")
    found = wiring.find_account(namespace, account)
    if _is_awaited(wiring, namespace) and found is None:
        yield Problem(name, f"service account {namespace}/{account} does not exist", "correct the subject")
    identity = _find_owner(wiring, credential)
    if found is None or identity is None:
        return
    if get_annotations(found).get(_CLIENT_ID) != identity.outputs.get("clientId"):
        remedy = f"annotate it with {_CLIENT_ID}"
        yield Problem(describe_object(found), f"it does not name the identity {identity.id} that trusts it", remedy)
    if not has_any_grant(wiring, str(identity.outputs.get("principalId"))) and _is_used(wiring, namespace, account):
        yield Problem(
            describe(identity), f"pods use it through {namespace}/{account}, but it has no role", "assign one"
        )


def _find_owner(wiring: Wiring, credential: Resource) -> Resource | None:
    return wiring.clouds.find(credential.id.rpartition("/federatedIdentityCredentials/")[0])


def _is_awaited(wiring: Wiring, namespace: str) -> bool:
    """Whether a namespace exists, so that the objects in it are expected to exist too."""
    return wiring.cluster.get("v1", "Namespace", namespace) is not None


def _is_used(wiring: Wiring, namespace: str, account: str) -> bool:
    return any((pod.namespace, pod.account) == (namespace, account) for pod in wiring.pods)


def _check_account(wiring: Wiring, account: Object) -> Iterator[Problem]:
    """Check that the identity that a service account names trusts that account."""
    namespace, name = account["metadata"].get("namespace", ""), account["metadata"]["name"]
    annotations = get_annotations(account)
    subject = f"{_SUBJECT}{namespace}:{name}"
    if client := annotations.get(_CLIENT_ID):
        identity = wiring.find_one(IDENTITY, "clientId", client)
        if identity is None:
            yield Problem(describe_object(account), f"no identity has client ID {client}", "correct the annotation")
        elif not any(
            _find_owner(wiring, credential) == identity and credential.inputs.get("subject") == subject
            for credential in wiring.clouds.all(_CREDENTIAL)
        ):
            remedy = f"add a federated credential with the subject {subject}"
            yield Problem(describe(identity), f"it does not trust the service account {namespace}/{name}", remedy)
    if arn := annotations.get(_ROLE_ARN):
        role = wiring.clouds.find(arn)
        conditions = [each for statement in _list_trust(role) for each in statement.conditions] if role else []
        subjects = [value for each in conditions if each.key.endswith(":sub") for value in each.values]
        if role and not subjects:
            yield Problem(describe(role), "its trust policy names no `sub`: every pod can assume it", "add a condition")
        elif role and any("*" in str(value) for value in subjects):
            yield Problem(describe(role), f"its trust policy has a wildcard: {subjects}", "name one service account")
        elif role and subject not in subjects:
            yield Problem(describe(role), f"its trust policy does not name {subject}", "correct the condition on `sub`")


def _check_association(wiring: Wiring, association: Resource) -> Iterator[Problem]:
    """Check, on EKS, that the service account exists, and that the role trusts only it and has permissions."""
    inputs = association.inputs
    namespace, account = str(inputs.get("namespace")), str(inputs.get("serviceAccount"))
    name = f"{describe(association)} of {namespace}/{account}"
    if _is_awaited(wiring, namespace) and wiring.find_account(namespace, account) is None:
        yield Problem(name, "its service account does not exist", "correct the association")
    role = wiring.clouds.find(str(inputs.get("roleArn")))
    if role is not None:
        expected = (str(inputs.get("clusterName")), namespace, account)
        yield from _check_trust(role, expected)
        yield from _check_permissions(wiring, role, name)


def _check_addon(wiring: Wiring, addon: Resource) -> Iterator[Problem]:
    for association in as_list(addon.inputs.get("podIdentityAssociations")):
        role = wiring.clouds.find(str(association.get("roleArn")))
        if role is not None:
            expected = (str(addon.inputs.get("clusterName")), "", str(association.get("serviceAccount")))
            yield from _check_trust(role, expected)
            yield from _check_permissions(wiring, role, describe(addon))


def _check_permissions(wiring: Wiring, role: Resource, user: str) -> Iterator[Problem]:
    attached = wiring.find_one("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "role", role.id)
    if attached is None and not any(list_statements(wiring, role)):
        yield Problem(describe(role), f"pods use it through {user}, but it has no permissions", "attach a policy")


def _list_trust(role: Resource | None) -> list[Statement]:
    return [each for each in statements(role.inputs.get("assumeRolePolicy")) if each.is_allow] if role else []


def _check_trust(role: Resource, expected: tuple[str, str, str]) -> Iterator[Problem]:
    """Check that pods may assume the role and tag the session, and that its conditions match the expected names.

    Whether the role exists is checked by the simulated EKS. An empty expected name is not compared.
    """
    trusting = [each for each in _list_trust(role) if _PODS in each.principals("Service")]
    for action in _ACTIONS:
        if trusting and not any(statement.names_action(action) for statement in trusting):
            yield Problem(describe(role), f"its trust policy does not allow {action} to {_PODS}", "add the action")
    for statement in trusting:
        tags = {each.key.rpartition("/")[2]: each for each in statement.conditions if each.key.startswith("aws:Req")}
        missing = [tag for tag in _TAGS if tag not in tags]
        if tags and missing:
            reason = f"its trust policy restricts session tags, but not {', '.join(missing)}"
            yield Problem(describe(role), reason, "add aws:RequestTag conditions for EKS's session tags")
        for tag, wanted in zip(_TAGS, expected, strict=True):
            values = [str(value) for value in tags[tag].values] if tag in tags else []
            if any("*" in value for value in values) and "Like" in tags[tag].operator:
                yield Problem(describe(role), f"its trust policy has a wildcard in {tag}: {values}", "name one")
            elif values and wanted and wanted not in values:
                reason = f"its trust policy requires {tag} to be one of {values}, but its association has {wanted}"
                yield Problem(describe(role), reason, "use the same value in both")
