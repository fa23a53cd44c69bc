"""Amazon ECR: an image is what it was when it was pushed, and it was looked at."""

from policies.control import control
from policies.iam_policy import judge_statements, trusts_anyone
from policies.props import Props, Verdicts, expect, is_true

REPOSITORY = ("aws:ecr/repository:Repository",)
POLICY = ("aws:ecr/repositoryPolicy:RepositoryPolicy",)


@control(
    "aws-ecr-immutable-tags",
    title="Image tags can't be moved to other images",
    severity="high",
    types=REPOSITORY,
    remedy="set imageTagMutability to IMMUTABLE",
    anchors=("CKV_AWS_51", "FSBP ECR.2", "AWS-0031"),
)
def immutable_tags(props: Props) -> Verdicts:
    path = "imageTagMutability"
    yield from expect(props, path, lambda value: value == "IMMUTABLE", "a tag may be pushed over")


@control(
    "aws-ecr-scan-on-push",
    title="Images are scanned when pushed",
    severity="high",
    types=REPOSITORY,
    remedy="set imageScanningConfiguration.scanOnPush to true",
    anchors=("CKV_AWS_163", "FSBP ECR.1", "AWS-0030", "CIS-EKS 5.1.1"),
)
def scan_on_push(props: Props) -> Verdicts:
    path = "imageScanningConfiguration.scanOnPush"
    yield from expect(props, path, is_true, "known vulnerabilities go unnoticed")


@control(
    "aws-ecr-kms",
    title="Images are encrypted with KMS",
    severity="low",
    types=REPOSITORY,
    remedy="set encryptionConfigurations with encryptionType KMS; it can't be changed later",
    anchors=("CKV_AWS_136", "AWS-0033"),
)
def kms(props: Props) -> Verdicts:
    path = "encryptionConfigurations[].encryptionType"
    yield from expect(props, path, lambda value: str(value).startswith("KMS"), "no key of ours guards the images")


@control(
    "aws-ecr-public-policy",
    title="Repositories are not open to every AWS account",
    severity="critical",
    types=POLICY,
    remedy="name the accounts or roles in the policy's Principal",
    anchors=("CKV_AWS_32", "AWS-0032"),
)
def public_policy(props: Props) -> Verdicts:
    yield from judge_statements(props, "policy", trusts_anyone)
