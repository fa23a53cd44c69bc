"""Amazon S3. A bucket's safety lives in resources beside it, so most of these look at the whole stack."""

from policies.control import Resource, Stack, StackVerdicts, control, each_has, of_type, stack_control
from policies.iam_policy import Statement, conditions, judge_statements, statements, trusts_anyone
from policies.props import UNKNOWN, Props, Undecided, Verdicts, expect, is_true, items, lookup, one_of

# The V2 spellings of all these types are matched too: see policies.control.canonical.
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
    anchors=("CKV_AWS_20", "CKV_AWS_57", "FSBP S3.2", "FSBP S3.3", "AWS-0092"),
)
def public_acl(props: Props) -> Verdicts:
    public = one_of("public-read", "public-read-write", "authenticated-read")
    yield from expect(props, "acl", lambda acl: not public(acl), "strangers may read it", absent_passes=True)


@control(
    "aws-s3-policy-principal",
    title="Bucket policies do not trust everyone",
    severity="critical",
    types=(POLICY,),
    remedy="name the accounts or roles in the policy's Principal",
    anchors=("CKV_AWS_70",),
)
def policy_principal(props: Props) -> Verdicts:
    yield from judge_statements(props, "policy", trusts_anyone)


@stack_control(
    "aws-s3-public-access-block",
    title="Every bucket has a complete public access block",
    severity="high",
    types=(BUCKET,),
    remedy="declare a BucketPublicAccessBlock for the bucket with all four flags true",
    anchors=("CKV2_AWS_6", "CKV_AWS_53", "CKV_AWS_54", "CKV_AWS_55", "CKV_AWS_56", "FSBP S3.8"),
)
def public_access_block(stack: Stack) -> StackVerdicts:
    blocks, missing = of_type(stack, ACCESS_BLOCK), "no public access block names it"
    yield from each_has(of_type(stack, BUCKET), blocks, "bucket", missing, _blocks_everything)


def _blocks_everything(block: Resource) -> Verdicts:
    for flag in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"):
        yield from expect(block.props, flag, is_true, "one way of making the bucket public is open")


@stack_control(
    "aws-s3-kms",
    title="Buckets are encrypted with KMS",
    severity="medium",
    types=(BUCKET,),
    remedy="declare a BucketServerSideEncryptionConfiguration for the bucket with sseAlgorithm aws:kms",
    anchors=("CKV_AWS_145", "FSBP S3.17", "AWS-0132"),
)
def kms(stack: Stack) -> StackVerdicts:
    # S3 delivers access logs only to buckets it can write to without a key of ours.
    logged_to = of_type(stack, LOGGING)
    buckets = [
        bucket
        for bucket in of_type(stack, BUCKET)
        if not any(log.refers_to(bucket, "targetBucket") is True for log in logged_to)
        and list(_uses_kms(bucket.props, "serverSideEncryptionConfiguration.rule"))
    ]
    missing = "no KMS encryption is configured for it"
    yield from each_has(
        buckets, of_type(stack, ENCRYPTION), "bucket", missing, lambda each: _uses_kms(each.props, "rules[]")
    )


def _uses_kms(props: Props, rules: str) -> Verdicts:
    wrong = "no key of ours guards the objects"
    yield from expect(props, f"{rules}.{ALGORITHM}", one_of("aws:kms", "aws:kms:dsse"), wrong)


@stack_control(
    "aws-s3-versioning",
    title="Buckets keep versions of their objects",
    severity="medium",
    types=(BUCKET,),
    remedy="declare a BucketVersioning for the bucket with versioningConfiguration.status Enabled",
    anchors=("CKV_AWS_21", "FSBP S3.14", "AWS-0090"),
)
def versioning(stack: Stack) -> StackVerdicts:
    buckets = [each for each in of_type(stack, BUCKET) if lookup(each.props, "versioning.enabled") is not True]
    missing = "no versioning is configured for it"
    yield from each_has(buckets, of_type(stack, VERSIONING), "bucket", missing, _versions)


def _versions(versioning: Resource) -> Verdicts:
    path = "versioningConfiguration.status"
    yield from expect(versioning.props, path, one_of("Enabled"), "an overwritten model is gone")


@stack_control(
    "aws-s3-tls-only",
    title="Buckets refuse requests without TLS",
    severity="high",
    types=(BUCKET,),
    remedy="declare a BucketPolicy that denies s3:* where aws:SecureTransport is false",
    anchors=("FSBP S3.5", "CIS-AWS6 3.1.1", "CKV_AWS_379"),
)
def tls_only(stack: Stack) -> StackVerdicts:
    missing = "no bucket policy names it"
    yield from each_has(of_type(stack, BUCKET), of_type(stack, POLICY), "bucket", missing, _denies_plain_http)


def _denies_plain_http(policy: Resource) -> Verdicts:
    document = lookup(policy.props, "policy")
    if document is UNKNOWN:
        yield Undecided(f"{policy.name}.policy")
    elif not any(_is_tls_rule(statement) for statement in statements(document) or []):
        yield "its policy lets unencrypted requests pass"


def _is_tls_rule(statement: Statement) -> bool:
    # Conditions narrow each other: a second one would let some unencrypted requests pass.
    tests = [
        (operator, key.lower(), [str(value).lower() for value in values])
        for operator, key, values in conditions(statement)
    ]
    on_plain_http = tests == [("Bool", "aws:securetransport", ["false"])]
    everything = {"*", "s3:*"} & set(items(statement.get("Action")))
    everyone = statement.get("Principal") in ("*", {"AWS": "*"})
    return statement.get("Effect") == "Deny" and on_plain_http and bool(everything) and everyone
