"""AWS IAM: no policy grants everything, no role trusts everyone."""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from kernel.iam import Statement
from kernel.paths import look_up
from kernel.values import as_list
from policies.controls.aws.policy_statements import check_statements, trusts_everyone
from policies.controls.aws.statement_meaning import (
    covers_action,
    covers_every_action,
    covers_every_identity,
    covers_every_key,
    covers_every_resource,
    covers_whole_service,
    limits_audience,
    limits_subject,
)
from policies.engine.control import Setting
from policies.engine.expectations import Requirement, expect
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

POLICIES = (
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/userPolicy:UserPolicy",
    "aws:iam/groupPolicy:GroupPolicy",
    "aws:ssoadmin/permissionSetInlinePolicy:PermissionSetInlinePolicy",
)
ROLE = ("aws:iam/role:Role",)
ATTACHMENTS = (
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
    "aws:iam/policyAttachment:PolicyAttachment",
    "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive",
    "aws:iam/userPolicyAttachmentsExclusive:UserPolicyAttachmentsExclusive",
    "aws:iam/groupPolicyAttachmentsExclusive:GroupPolicyAttachmentsExclusive",
    "aws:ssoadmin/managedPolicyAttachment:ManagedPolicyAttachment",
    "aws:ssoadmin/managedPolicyAttachmentsExclusive:ManagedPolicyAttachmentsExclusive",
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
)
# Policies of resources whose services have no controls of their own.
RESOURCE_POLICIES = (
    "aws:acmpca/policy:Policy",
    "aws:amp/resourcePolicy:ResourcePolicy",
    "aws:apigateway/restApi:RestApi",
    "aws:apigateway/restApiPolicy:RestApiPolicy",
    "aws:backup/vaultPolicy:VaultPolicy",
    "aws:bedrock/agentcoreResourcePolicy:AgentcoreResourcePolicy",
    "aws:cloudwatch/eventBusPolicy:EventBusPolicy",
    "aws:cloudwatch/logDestinationPolicy:LogDestinationPolicy",
    "aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
    "aws:codeartifact/domainPermissions:DomainPermissions",
    "aws:codeartifact/repositoryPermissionsPolicy:RepositoryPermissionsPolicy",
    "aws:codebuild/resourcePolicy:ResourcePolicy",
    "aws:dsql/clusterPolicy:ClusterPolicy",
    "aws:dynamodb/resourcePolicy:ResourcePolicy",
    "aws:ecrpublic/repositoryPolicy:RepositoryPolicy",
    "aws:efs/fileSystemPolicy:FileSystemPolicy",
    "aws:elasticsearch/domain:Domain",
    "aws:elasticsearch/domainPolicy:DomainPolicy",
    "aws:glacier/vault:Vault",
    "aws:glue/resourcePolicy:ResourcePolicy",
    "aws:kinesis/resourcePolicy:ResourcePolicy",
    "aws:lambda/resourcePolicy:ResourcePolicy",
    "aws:mediastore/containerPolicy:ContainerPolicy",
    "aws:msk/clusterPolicy:ClusterPolicy",
    "aws:oam/sinkPolicy:SinkPolicy",
    "aws:opensearch/domain:Domain",
    "aws:opensearch/domainPolicy:DomainPolicy",
    "aws:opensearchingest/resourcePolicy:ResourcePolicy",
    "aws:redshift/resourcePolicy:ResourcePolicy",
    "aws:redshiftserverless/resourcePolicy:ResourcePolicy",
    "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy",
    "aws:schemas/registryPolicy:RegistryPolicy",
    "aws:ses/identityPolicy:IdentityPolicy",
    "aws:sesv2/emailIdentityPolicy:EmailIdentityPolicy",
    "aws:vpclattice/authPolicy:AuthPolicy",
    "aws:vpclattice/resourcePolicy:ResourcePolicy",
    "aws:xray/resourcePolicy:ResourcePolicy",
)
DOCUMENTS = ("policy", "policyDocument", "resourcePolicy", "accessPolicy", "accessPolicies")
ATTACHED = ("policyArn", "policyArns[*]", "managedPolicyArn", "managedPolicyArns[*]")
# Each lets its holder grant permissions to itself or act as another identity, if the statement covers every resource.
# Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_job-functions.html and
# https://github.com/bridgecrewio/checkov, check CKV_AWS_286
ESCALATIONS: Mapping[str, Sequence[str]] = {
    "group": ("AddUserToGroup", "AttachGroupPolicy", "PutGroupPolicy"),
    "policy": ("CreatePolicyVersion", "SetDefaultPolicyVersion"),
    "role": ("AttachRolePolicy", "PutRolePolicy", "UpdateAssumeRolePolicy"),
    "user": ("AttachUserPolicy", "CreateAccessKey", "CreateLoginProfile", "PutUserPolicy", "UpdateLoginProfile"),
}
ADMINISTRATORS = (
    *("/AdministratorAccess", "/IAMFullAccess", "/PowerUserAccess"),
    *("/AmazonEKSClusterAdminPolicy", "/AmazonEKSAdminPolicy"),
)


def _check_policies(props: Props, find_problem: Callable[[Statement], str | None]) -> Findings:
    """Check a policy that is a separate resource, or policies that are inline in a role or permission set."""
    for path in ("policy", "inlinePolicies[*].policy", "inlinePolicy"):
        is_first = find_problem is _allows_everything
        yield from check_statements(props, path, find_problem, reports_malformed=is_first)


@control(
    "aws-iam-administrator",
    title="No policy allows every action on every resource",
    severity="critical",
    types=POLICIES + ROLE,
    remedy="list the actions the workload needs and the resources it needs them on",
    references=("CKV_AWS_62", "CKV_AWS_63", "FSBP IAM.1", "CIS-AWS6 2.15"),
)
def administrator(props: Props) -> Findings:
    yield from _check_policies(props, _allows_everything)


def _allows_everything(statement: Statement) -> str | None:
    allowed = covers_every_action(statement) and covers_every_resource(statement)
    return "must not allow every action on every resource" if allowed else None


@control(
    "aws-iam-service-wildcard",
    title="No policy allows every action of a service",
    severity="high",
    types=POLICIES + ROLE,
    remedy="list the actions the workload needs",
    references=("CKV_AWS_63", "FSBP IAM.21"),
)
def service_wildcard(props: Props) -> Findings:
    yield from _check_policies(props, _allows_whole_service)


def _allows_whole_service(statement: Statement) -> str | None:
    # A statement that allows everything is reported by aws-iam-administrator.
    whole = covers_whole_service(statement) and not _allows_everything(statement)
    return "must not allow every action of a service" if whole else None


@control(
    "aws-iam-pass-role",
    title="No policy allows passing every role to a service",
    severity="high",
    types=POLICIES + ROLE,
    remedy="name the roles that iam:PassRole may pass",
)
def pass_role(props: Props) -> Findings:
    yield from _check_policies(props, _passes_any_role)


def _passes_any_role(statement: Statement) -> str | None:
    passes = (
        covers_action(statement, "iam:PassRole")
        and covers_every_identity(statement, "role")
        and not _allows_everything(statement)
    )
    return "must not allow iam:PassRole on every role, otherwise its holder can act as any of them" if passes else None


@control(
    "aws-iam-escalation",
    title="No policy lets its holder extend its own permissions",
    severity="high",
    types=POLICIES + ROLE,
    remedy="name the users, roles and policies that the IAM actions may change",
)
def escalation(props: Props) -> Findings:
    yield from _check_policies(props, _extends_own_permissions)


def _extends_own_permissions(statement: Statement) -> str | None:
    extends = any(
        covers_action(statement, f"iam:{action}") and covers_every_identity(statement, kind)
        for kind, actions in ESCALATIONS.items()
        for action in actions
    )
    return (
        "must not allow changes to any identity's permissions, otherwise its holder can grant itself everything"
        if extends and not _allows_everything(statement)
        else None
    )


@control(
    "aws-iam-kms-decrypt",
    title="No policy allows decryption with every key",
    severity="medium",
    types=POLICIES + ROLE,
    remedy="name the keys that kms:Decrypt and kms:ReEncryptFrom may use",
    references=("FSBP KMS.1", "FSBP KMS.2"),
)
def kms_decrypt(props: Props) -> Findings:
    yield from _check_policies(props, _decrypts_with_every_key)


def _decrypts_with_every_key(statement: Statement) -> str | None:
    decrypts = any(covers_action(statement, action) for action in ("kms:Decrypt", "kms:ReEncryptFrom"))
    return (
        "must not allow decryption with every key"
        if decrypts and covers_every_key(statement) and not _allows_everything(statement)
        else None
    )


@control(
    "aws-iam-trust-principal",
    title="No role trusts everyone",
    severity="critical",
    types=ROLE,
    remedy="name the accounts, services or providers in the trust policy's Principal",
    references=("CKV_AWS_60",),
)
def trust_principal(props: Props) -> Findings:
    yield from check_statements(props, "assumeRolePolicy", trusts_everyone)


@control(
    "aws-iam-oidc-trust",
    title="Roles for OIDC identities name the audience and the subject",
    severity="high",
    types=ROLE,
    remedy="add conditions on the provider's :aud and :sub keys; the subject must not be only a wildcard",
    references=("CKV_AWS_393", "CIS-EKS 5.2.1"),
)
def oidc_trust(props: Props) -> Findings:
    yield from check_statements(props, "assumeRolePolicy", _trusts_whole_provider, reports_malformed=False)


def _trusts_whole_provider(statement: Statement) -> str | None:
    principal = statement.elements.get("Principal")
    providers = as_list(principal.get("Federated")) if isinstance(principal, Mapping) else []
    conditions = statement.conditions
    missing = []
    if any(map(_needs_audience, providers)) and not any(
        limits_audience(each, "aud", "app_id", "client_id") for each in conditions
    ):
        missing.append("aud")
    if any(map(_needs_subject, providers)) and not any(map(limits_subject, conditions)):
        missing.append("sub")
    return (
        f"must have a condition on {' and '.join(missing)}, otherwise any workload's token is accepted"
        if missing
        else None
    )


def _needs_audience(provider: Any) -> bool:
    """Whether a provider also issues tokens for others. A SAML provider belongs to one organization."""
    return ":saml-provider/" not in str(provider)


def _needs_subject(provider: Any) -> bool:
    """Whether a provider issues tokens to workloads. Amazon Cognito's are for people; the audience is one pool."""
    return _needs_audience(provider) and "cognito-identity.amazonaws.com" not in str(provider)


@control(
    "aws-iam-administrator-attached",
    title="No administrator policy is attached",
    severity="high",
    types=ATTACHMENTS + ROLE,
    remedy="attach a policy with the actions the workload needs",
    references=("CKV_AWS_274", "CKV2_AWS_56"),
    settings={"allowed": Setting({"type": "array", "items": {"type": "string"}}, default=[])},
)
def administrator_attached(props: Props, settings: Mapping[str, Any]) -> Findings:
    def is_limited(arn: Any) -> bool:
        allowed = any(fnmatchcase(str(arn), pattern) for pattern in settings["allowed"])
        return allowed or not str(arn).endswith(ADMINISTRATORS)

    if look_up(props, "accessScope.type") == "namespace":  # on Amazon EKS: in some namespaces only
        return
    limited = Requirement("must not be an administrator policy", is_limited)
    for path in ATTACHED:
        yield from expect(props, path, limited, "its holder can do everything in the account", absent_passes=True)


@control(
    "aws-iam-resource-policy-principal",
    title="Resource policies of other services do not trust everyone",
    severity="critical",
    types=RESOURCE_POLICIES,
    remedy="name the accounts, roles or services in the policy's Principal",
)
def resource_policy_principal(props: Props) -> Findings:
    for path in DOCUMENTS:
        yield from check_statements(props, path, trusts_everyone)
