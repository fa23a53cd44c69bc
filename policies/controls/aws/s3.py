"""Amazon S3. Most settings of a bucket are separate resources, so most controls here evaluate the whole stack."""

from collections.abc import Mapping
from typing import Any

from kernel.iam import Condition, Statement, statements
from kernel.paths import each_value, look_up
from kernel.values import UNKNOWN
from policies.controls.aws.policy_statements import check_statements, trusts_everyone
from policies.controls.aws.statement_meaning import covers_action, covers_resource
from policies.controls.public_tags import PUBLIC_TAG, has_tag
from policies.engine.control import Setting
from policies.engine.expectations import IS_TRUE, Requirement, expect, none_of, one_of
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control, stack_control
from policies.engine.stack import Resource, Stack, StackFindings, expect_companion, of_type

# The V2 spellings of all these types match too: see policies.engine.stack.canonical_type.
BUCKET = "aws:s3/bucket:Bucket"
ACL = "aws:s3/bucketAcl:BucketAcl"
OBJECTS = (
    "aws:s3/bucketObject:BucketObject",
    "aws:s3/bucketObjectv2:BucketObjectv2",
    "aws:s3/objectCopy:ObjectCopy",
)
ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
ACCOUNT_BLOCK = "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
OTHER_POLICIES = (
    "aws:s3/accessPoint:AccessPoint",
    "aws:s3/filesFileSystemPolicy:FilesFileSystemPolicy",
    "aws:s3/vectorsVectorBucketPolicy:VectorsVectorBucketPolicy",
    "aws:s3control/accessGrantsInstanceResourcePolicy:AccessGrantsInstanceResourcePolicy",
    "aws:s3control/accessPointPolicy:AccessPointPolicy",
    "aws:s3control/bucketPolicy:BucketPolicy",
    "aws:s3control/multiRegionAccessPointPolicy:MultiRegionAccessPointPolicy",
    "aws:s3control/objectLambdaAccessPointPolicy:ObjectLambdaAccessPointPolicy",
    "aws:s3tables/tableBucketPolicy:TableBucketPolicy",
    "aws:s3tables/tablePolicy:TablePolicy",
)
LOGGING = "aws:s3/bucketLogging:BucketLogging"
ALGORITHM = "applyServerSideEncryptionByDefault.sseAlgorithm"
# The second of each pair is the path in BucketV2, whose blocks are lists.
INLINE_ALGORITHMS = (
    f"serverSideEncryptionConfiguration.rule.{ALGORITHM}",
    "serverSideEncryptionConfigurations[*].rules[*].applyServerSideEncryptionByDefaults[*].sseAlgorithm",
)
INLINE_VERSIONING = ("versioning.enabled", "versionings[*].enabled")
EVERYBODY = ("/global/AllUsers", "/global/AuthenticatedUsers")


@control(
    "aws-s3-public-acl",
    title="Buckets have no public ACL",
    severity="critical",
    types=(BUCKET, ACL, *OBJECTS),
    remedy="remove the acl and the grants, and grant access in a bucket policy",
    references=("CKV_AWS_20", "CKV_AWS_57", "FSBP S3.2", "FSBP S3.3", "AWS-0092"),
)
def public_acl(props: Props) -> Findings:
    private = none_of("must not be a public ACL", "public-read", "public-read-write", "authenticated-read")
    risk = "anyone can read the objects"
    yield from expect(props, "acl", private, risk, absent_passes=True)
    named = Requirement("must not be a group of everybody", lambda uri: not str(uri).endswith(EVERYBODY))
    for path in ("grants[*].uri", "accessControlPolicy.grants[*].grantee.uri"):
        yield from expect(props, path, named, risk, absent_passes=True)


@control(
    "aws-s3-policy-principal",
    title="Bucket policies do not trust everyone",
    severity="critical",
    types=(BUCKET, POLICY, *OTHER_POLICIES),
    remedy="name the accounts or roles in the policy's Principal",
    references=("CKV_AWS_70", "FSBP S3.2", "FSBP S3.3"),
    settings={"publicActions": Setting({"type": "array", "items": {"type": "string"}}, default=[])},
)
def policy_principal(props: Props, settings: Mapping[str, Any]) -> Findings:
    # `publicActions` are for public buckets, which have the tag of aws-s3-public-access-block. AWS ignores such a
    # statement in the policies of other buckets.
    def find_problem(statement: Statement) -> str | None:
        allowed = statement.actions and all(action in settings["publicActions"] for action in statement.actions)
        return None if allowed else trusts_everyone(statement)

    for path in ("policy", "resourcePolicy", "details.policy"):
        yield from check_statements(props, path, find_problem)


@stack_control(
    "aws-s3-public-access-block",
    title="Every bucket has a complete public access block",
    severity="high",
    types=(BUCKET, ACCESS_BLOCK, ACCOUNT_BLOCK),
    remedy="declare a BucketPublicAccessBlock for the bucket, or one of the account, with all four flags true",
    references=("CKV2_AWS_6", "CKV_AWS_53", "CKV_AWS_54", "CKV_AWS_55", "CKV_AWS_56", "FSBP S3.8"),
    settings={"publicTag": PUBLIC_TAG},
)
def public_access_block(stack: Stack, settings: Mapping[str, Any]) -> StackFindings:
    account_wide = [(each, list(_expect_complete_block(each))) for each in of_type(stack, ACCOUNT_BLOCK)]
    yield from ((each, finding) for each, findings in account_wide for finding in findings)
    if any(not findings for _, findings in account_wide):
        return
    buckets = of_type(stack, BUCKET)
    public = [bucket for bucket in buckets if has_tag(bucket.props, settings["publicTag"])]
    blocks, missing = of_type(stack, ACCESS_BLOCK), "the bucket must have a BucketPublicAccessBlock"
    closed = [bucket for bucket in buckets if bucket not in public]
    yield from expect_companion(closed, blocks, "bucket", missing, _expect_complete_block, others=public)


def _expect_complete_block(block: Resource) -> Findings:
    for flag in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"):
        yield from expect(block.props, flag, IS_TRUE, "the bucket can be made public")


@stack_control(
    "aws-s3-kms",
    title="Buckets are encrypted with KMS",
    severity="medium",
    types=(BUCKET, ENCRYPTION),
    remedy="declare a BucketServerSideEncryptionConfiguration for the bucket with sseAlgorithm aws:kms",
    references=("CKV_AWS_145", "FSBP S3.17"),
)
def kms(stack: Stack) -> StackFindings:
    # S3 does not deliver access logs to buckets whose default encryption is KMS.
    # Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html
    logged_to = of_type(stack, LOGGING)
    buckets = of_type(stack, BUCKET)
    others = [
        bucket
        for bucket in buckets
        if any(log.refers_to(bucket, "targetBucket") is True for log in logged_to)
        or not all(list(_expect_kms(bucket.props, path)) for path in INLINE_ALGORITHMS)
    ]
    missing = "the bucket must have a BucketServerSideEncryptionConfiguration with KMS"
    yield from expect_companion(
        [bucket for bucket in buckets if bucket not in others],
        of_type(stack, ENCRYPTION),
        "bucket",
        missing,
        lambda companion: _expect_kms(companion.props, f"rules[*].{ALGORITHM}"),
        others=others,
    )


def _expect_kms(props: Props, path: str) -> Findings:
    yield from expect(props, path, one_of("aws:kms", "aws:kms:dsse"), "objects are not encrypted with a key in KMS")


@stack_control(
    "aws-s3-versioning",
    title="Buckets keep versions of their objects",
    severity="medium",
    types=(BUCKET, VERSIONING),
    remedy="declare a BucketVersioning for the bucket with versioningConfiguration.status Enabled",
    references=("CKV_AWS_21", "FSBP S3.14", "AWS-0090"),
)
def versioning(stack: Stack) -> StackFindings:
    buckets = of_type(stack, BUCKET)
    others = [bucket for bucket in buckets if _keeps_versions(bucket.props)]
    missing = "the bucket must have a BucketVersioning"
    yield from expect_companion(
        [bucket for bucket in buckets if bucket not in others],
        of_type(stack, VERSIONING),
        "bucket",
        missing,
        _expect_enabled,
        others=others,
    )


def _keeps_versions(props: Props) -> bool:
    return any(value is True for path in INLINE_VERSIONING for _, value in each_value(props, path))


def _expect_enabled(versioning: Resource) -> Findings:
    path = "versioningConfiguration.status"
    yield from expect(versioning.props, path, one_of("Enabled"), "an overwritten model is lost")


@stack_control(
    "aws-s3-tls-only",
    title="Buckets reject requests without TLS",
    severity="high",
    types=(BUCKET, POLICY),
    remedy="declare a BucketPolicy that denies s3:* if aws:SecureTransport is false",
    references=("FSBP S3.5", "CIS-AWS6 3.1.1"),
)
def tls_only(stack: Stack) -> StackFindings:
    buckets = of_type(stack, BUCKET)
    # Buckets whose policy is inline and known.
    inline = {bucket.urn: list(_expect_plain_http_denied(bucket)) for bucket in buckets}
    others = [bucket for bucket in buckets if all(isinstance(each, Undecided) for each in inline[bucket.urn])]
    yield from ((bucket, finding) for bucket in others for finding in inline[bucket.urn])
    yield from expect_companion(
        [bucket for bucket in buckets if bucket not in others],
        of_type(stack, POLICY),
        "bucket",
        "the bucket must have a BucketPolicy",
        _expect_plain_http_denied,
        others=others,
    )


def _expect_plain_http_denied(policy: Resource) -> Findings:
    document = look_up(policy.props, "policy")
    if document is UNKNOWN:
        yield Undecided(f"{policy.name}.policy")
    elif not any(_denies_plain_http(statement, look_up(policy.props, "bucket")) for statement in statements(document)):
        yield "the bucket's policy must deny requests without TLS to the bucket and its objects"


def _denies_plain_http(statement: Statement, bucket: Any) -> bool:
    # All conditions must hold together, so a second one would allow some unencrypted requests.
    on_plain_http = len(statement.conditions) == 1 and _holds_without_tls(statement.conditions[0])
    everyone = statement.elements.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
    return (
        statement.is_deny
        and on_plain_http
        and everyone
        and all(covers_action(statement, action) for action in ("s3:GetObject", "s3:PutObject", "s3:ListBucket"))
        and _covers_bucket(statement, bucket)
    )


def _holds_without_tls(condition: Condition) -> bool:
    """Whether a condition holds for each request without TLS, in which `s3:TlsVersion` is absent."""
    operator, key = condition.operator.lower(), condition.key.lower()
    values = [str(value).lower() for value in condition.values]
    if key == "aws:securetransport":
        return operator in ("bool", "boolifexists") and values == ["false"]
    return key == "s3:tlsversion" and (operator, values == ["true"]) in (
        ("numericlessthanifexists", False),
        ("null", True),
    )


def _covers_bucket(statement: Statement, bucket: Any) -> bool:
    """Whether a statement covers a bucket and its objects. An unknown name is assumed to be the right one."""
    if not isinstance(bucket, str):
        return True
    name = bucket.removeprefix("arn:aws:s3:::")
    arns = (f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/any-object")
    unknown = any(each is UNKNOWN for each in statement.resources)
    return unknown or all(covers_resource(statement, arn) for arn in arns)
