"""Amazon SageMaker: networks, keys and permissions of notebooks, domains, models and endpoints."""

from typing import Any

from kernel.paths import look_up
from kernel.values import UNKNOWN
from policies.controls.aws.customer_keys import expect_customer_key
from policies.engine.expectations import IS_TRUE, at_least, check_each, expect, expect_set, one_of
from policies.engine.findings import Findings, Props
from policies.engine.registry import control

NOTEBOOK = ("aws:sagemaker/notebookInstance:NotebookInstance",)
DOMAIN = ("aws:sagemaker/domain:Domain",)
MODEL = ("aws:sagemaker/model:Model",)
ENDPOINT = ("aws:sagemaker/endpointConfiguration:EndpointConfiguration",)


@control(
    "aws-sagemaker-notebook-internet",
    title="Notebooks have no direct Internet access",
    severity="high",
    types=NOTEBOOK,
    remedy="set directInternetAccess to Disabled",
    references=("FSBP SageMaker.1",),
)
def notebook_internet(props: Props) -> Findings:
    # Absent means Enabled.
    yield from expect(props, "directInternetAccess", one_of("Disabled"), "data can bypass the VPC's rules")


@control(
    "aws-sagemaker-notebook-vpc",
    title="Notebooks are in a VPC",
    severity="high",
    types=NOTEBOOK,
    remedy="set subnetId and securityGroups",
    references=("CKV_AWS_306", "FSBP SageMaker.2"),
)
def notebook_vpc(props: Props) -> Findings:
    yield from expect_set(props, "subnetId", "security groups and flow logs do not cover the notebook's traffic")


@control(
    "aws-sagemaker-notebook-root",
    title="Users of notebooks are not root",
    severity="medium",
    types=NOTEBOOK,
    remedy="set rootAccess to Disabled",
    references=("CKV_AWS_307", "FSBP SageMaker.3"),
)
def notebook_root(props: Props) -> Findings:
    yield from expect(props, "rootAccess", one_of("Disabled"), "users can disable the monitoring of the notebook")


@control(
    "aws-sagemaker-notebook-kms",
    title="Notebooks are encrypted with a customer-managed key",
    severity="medium",
    types=NOTEBOOK,
    remedy="set kmsKeyId",
    references=("CKV_AWS_22", "CKV_AWS_187"),
)
def notebook_kms(props: Props) -> Findings:
    yield from expect_customer_key(props, "kmsKeyId", "the notebook's disk is not encrypted with a key of the account")


@control(
    "aws-sagemaker-domain-vpc",
    title="SageMaker domains are in a VPC",
    severity="high",
    types=DOMAIN,
    remedy="set appNetworkAccessType to VpcOnly; it cannot be changed later",
)
def domain_vpc(props: Props) -> Findings:
    path = "appNetworkAccessType"
    yield from expect(props, path, one_of("VpcOnly"), "applications bypass the VPC's rules to reach the Internet")


@control(
    "aws-sagemaker-domain-kms",
    title="SageMaker domains are encrypted with a customer-managed key",
    severity="medium",
    types=DOMAIN,
    remedy="set kmsKeyId; it cannot be changed later",
    references=("CKV_AWS_187",),
)
def domain_kms(props: Props) -> Findings:
    yield from expect_customer_key(props, "kmsKeyId", "users' files are not encrypted with a key of the account")


@control(
    "aws-sagemaker-model-isolation",
    title="SageMaker models have no network access",
    severity="medium",
    types=MODEL,
    remedy="set enableNetworkIsolation to true; it cannot be changed later",
    references=("CKV_AWS_370", "FSBP SageMaker.5"),
)
def model_isolation(props: Props) -> Findings:
    yield from expect(props, "enableNetworkIsolation", IS_TRUE, "a model's code can send inputs anywhere")


@control(
    "aws-sagemaker-endpoint-kms",
    title="SageMaker endpoints are encrypted with a customer-managed key",
    severity="medium",
    types=ENDPOINT,
    remedy="set kmsKeyArn",
    references=("CKV_AWS_98",),
)
def endpoint_kms(props: Props) -> Findings:
    yield from expect_customer_key(props, "kmsKeyArn", "models and inputs are not encrypted with a key of the account")


@control(
    "aws-sagemaker-endpoint-instances",
    title="SageMaker endpoints have several instances",
    severity="low",
    types=ENDPOINT,
    remedy="set initialInstanceCount to 2 or more in each of productionVariants",
    references=("FSBP SageMaker.4",),
)
def endpoint_instances(props: Props) -> Findings:
    def check(where: str, variant: Any) -> Findings:
        concurrency = look_up(variant, "serverlessConfig.maxConcurrency")
        if concurrency is not UNKNOWN and not at_least(1).accepts(concurrency):
            risk = "the loss of one zone stops the endpoint"
            yield from expect(props, f"{where}.initialInstanceCount", at_least(2), risk)

    yield from check_each(props, "productionVariants[*]", check)
