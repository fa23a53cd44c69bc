"""Amazon S3. Most settings of a bucket are resources of their own, so most controls here evaluate the whole stack."""

from typing import Any

from kernel.iam import Condition, Statement, statements
from kernel.paths import look_up
from kernel.values import UNKNOWN
from policies.controls.aws.policy_statements import check_statements, trusts_everyone
from policies.controls.aws.statement_meaning import covers_action, covers_resource
from policies.engine.expectations import IS_TRUE, expect, none_of, one_of
from policies.engine.findings import Findings, Props, Undecided
from policies.engine.registry import control, stack_control
from policies.engine.stack import Resource, Stack, StackFindings, expect_companion, of_type

# The V2 spellings of all these types match too: see policies.engine.stack.canonical_type.
BUCKET = "aws:s3/bucket:Bucket"
ACL = "aws:s3/bucketAcl:BucketAcl"
ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
LOGGING = "aws:s3/bucketLogging:BucketLogging"
ALGORITHM = "applyServerSideEncryptionByDefault.sseAlgorithm"


@control(
    "aws-s3-public-acl",
    title="Buckets have no public ACL",
    severity="critical",
    types=(BUCKET, ACL),
    remedy="remove the acl and grant access in a bucket policy",
    references=("CKV_AWS_20", "CKV_AWS_57", "FSBP S3.2", "FSBP S3.3", "AWS-0092"),
)
def public_acl(props: Props) -> Findings:
    private = none_of("must not be a public ACL", "public-read", "public-read-write", "authenticated-read")
    yield from expect(props, "acl", private, "anyone can read the objects", absent_passes=True)


@control(
    "aws-s3-policy-principal",
    title="Bucket policies do not trust everyone",
    severity="critical",
    types=(POLICY,),
    remedy="name the accounts or roles in the policy's Principal",
    references=("CKV_AWS_70",),
)
def policy_principal(props: Props) -> Findings:
    yield from check_statements(props, "policy", trusts_everyone)


@stack_control(
    "aws-s3-public-access-block",
    title="Every bucket has a complete public access block",
    severity="high",
    types=(BUCKET,),
    remedy="declare a BucketPublicAccessBlock for the bucket with all four flags true",
    references=("CKV2_AWS_6", "CKV_AWS_53", "CKV_AWS_54", "CKV_AWS_55", "CKV_AWS_56", "FSBP S3.8"),
)
def public_access_block(stack: Stack) -> StackFindings:
    blocks, missing = of_type(stack, ACCESS_BLOCK), "the bucket must have a BucketPublicAccessBlock"
    yield from expect_companion(of_type(stack, BUCKET), blocks, "bucket", missing, _expect_complete_block)


def _expect_complete_block(block: Resource) -> Findings:
    for flag in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"):
        yield from expect(block.props, flag, IS_TRUE, "the bucket can be made public")


@stack_control(
    "aws-s3-kms",
    title="Buckets are encrypted with KMS",
    severity="medium",
    types=(BUCKET,),
    remedy="declare a BucketServerSideEncryptionConfiguration for the bucket with sseAlgorithm aws:kms",
    references=("CKV_AWS_145", "FSBP S3.17", "AWS-0132"),
)
def kms(stack: Stack) -> StackFindings:
    # S3 does not deliver access logs to buckets whose default encryption is KMS.
    # Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html
    logged_to = of_type(stack, LOGGING)
    buckets = [
        bucket
        for bucket in of_type(stack, BUCKET)
        if not any(log.refers_to(bucket, "targetBucket") is True for log in logged_to)
        and list(_expect_kms(bucket.props, "serverSideEncryptionConfiguration.rule"))
    ]
    missing = "the bucket must have a BucketServerSideEncryptionConfiguration with KMS"
    yield from expect_companion(
        buckets,
        of_type(stack, ENCRYPTION),
        "bucket",
        missing,
        lambda companion: _expect_kms(companion.props, "rules[*]"),
    )


def _expect_kms(props: Props, rules: str) -> Findings:
    risk = "objects are not encrypted with a key in KMS"
    yield from expect(props, f"{rules}.{ALGORITHM}", one_of("aws:kms", "aws:kms:dsse"), risk)


@stack_control(
    "aws-s3-versioning",
    title="Buckets keep versions of their objects",
    severity="medium",
    types=(BUCKET,),
    remedy="declare a BucketVersioning for the bucket with versioningConfiguration.status Enabled",
    references=("CKV_AWS_21", "FSBP S3.14", "AWS-0090"),
)
def versioning(stack: Stack) -> StackFindings:
    buckets = [bucket for bucket in of_type(stack, BUCKET) if look_up(bucket.props, "versioning.enabled") is not True]
    missing = "the bucket must have a BucketVersioning"
    yield from expect_companion(buckets, of_type(stack, VERSIONING), "bucket", missing, _expect_enabled)


def _expect_enabled(versioning: Resource) -> Findings:
    path = "versioningConfiguration.status"
    yield from expect(versioning.props, path, one_of("Enabled"), "an overwritten model is lost")


@stack_control(
    "aws-s3-tls-only",
    title="Buckets refuse requests without TLS",
    severity="high",
    types=(BUCKET,),
    remedy="declare a BucketPolicy that denies s3:* where aws:SecureTransport is false",
    references=("FSBP S3.5", "CIS-AWS6 3.1.1", "CKV_AWS_379"),
)
def tls_only(stack: Stack) -> StackFindings:
    missing = "the bucket must have a BucketPolicy"
    yield from expect_companion(
        of_type(stack, BUCKET), of_type(stack, POLICY), "bucket", missing, _expect_plain_http_denied
    )


def _expect_plain_http_denied(policy: Resource) -> Findings:
    document = look_up(policy.props, "policy")
    if document is UNKNOWN:
        yield Undecided(f"{policy.name}.policy")
    elif not any(_denies_plain_http(statement, look_up(policy.props, "bucket")) for statement in statements(document)):
        yield "the bucket's policy must deny requests without TLS to the bucket and its objects"


def _denies_plain_http(statement: Statement, bucket: Any) -> bool:
    # All conditions must hold together: a second one would let some unencrypted requests pass.
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
    """Whether a statement covers a bucket and its objects; an unknown name is taken for the right one."""
    if not isinstance(bucket, str):
        return True
    name = bucket.removeprefix("arn:aws:s3:::")
    arns = (f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/any-object")
    unknown = any(each is UNKNOWN for each in statement.resources)
    return unknown or all(covers_resource(statement, arn) for arn in arns)
