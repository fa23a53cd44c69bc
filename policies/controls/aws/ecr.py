"""Amazon ECR: images do not change after they are pushed, are scanned, and are not public."""

from policies.controls.aws.policy_statements import check_statements, trusts_everyone
from policies.engine.expectations import IS_TRUE, Requirement, expect
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

REPOSITORY = ("aws:ecr/repository:Repository",)
TEMPLATE = ("aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate",)
POLICY = (
    "aws:ecr/repositoryPolicy:RepositoryPolicy",
    "aws:ecr/registryPolicy:RegistryPolicy",
)


@control(
    "aws-ecr-immutable-tags",
    title="Image tags can't be moved to other images",
    severity="high",
    types=REPOSITORY + TEMPLATE,
    remedy="set imageTagMutability to IMMUTABLE",
    references=("CKV_AWS_51", "FSBP ECR.2", "AWS-0031"),
)
def immutable_tags(props: Props) -> Findings:
    path = "imageTagMutability"
    immutable = Requirement("must make tags immutable", lambda value: value == "IMMUTABLE")
    yield from expect(props, path, immutable, "a tag can be moved to another image")


@control(
    "aws-ecr-scan-on-push",
    title="Images are scanned when pushed",
    severity="high",
    types=REPOSITORY,
    remedy="set imageScanningConfiguration.scanOnPush to true",
    references=("CKV_AWS_163", "FSBP ECR.1", "AWS-0030", "CIS-EKS 5.1.1"),
)
def scan_on_push(props: Props) -> Findings:
    path = "imageScanningConfiguration.scanOnPush"
    yield from expect(props, path, IS_TRUE, "known vulnerabilities remain unnoticed")


@control(
    "aws-ecr-kms",
    title="Images are encrypted with KMS",
    severity="low",
    types=REPOSITORY + TEMPLATE,
    remedy="set encryptionConfigurations with encryptionType KMS; it can't be changed later",
    references=("CKV_AWS_136",),
)
def kms_encryption(props: Props) -> Findings:
    kms = Requirement("must be KMS or KMS_DSSE", lambda value: str(value).startswith("KMS"))
    path = "encryptionConfigurations[*].encryptionType"
    yield from expect(props, path, kms, "images are not encrypted with a key in KMS")


@control(
    "aws-ecr-public-policy",
    title="Repositories are not open to every AWS account",
    severity="critical",
    types=POLICY + TEMPLATE,
    remedy="name the accounts or roles in the policy's Principal",
    references=("CKV_AWS_32", "AWS-0032"),
)
def public_policy(props: Props) -> Findings:
    for path in ("policy", "repositoryPolicy"):
        yield from check_statements(props, path, trusts_everyone)
