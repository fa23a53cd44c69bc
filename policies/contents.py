"""The pack's table of contents. Importing a service's module registers its controls."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from kernel.paths import look_up
from policies.controls.aws import (
    cloudtrail,
    detection,
    dynamodb,
    dynamodb_operation,
    ecr,
    eks,
    eks_operation,
    iam,
    kms,
    kms_operation,
    logs,
    messaging,
    rds,
    rds_operation,
    regions,
    s3,
    s3_operation,
    sagemaker,
    secretsmanager,
    upkeep,
    users,
    vpc,
    vpc_exposure,
)
from policies.controls.azure import (
    acr,
    acr_content,
    aks,
    aks_nodes,
    aks_operation,
    cosmos,
    cosmos_protection,
    cost,
    disks,
    identity,
    keyvault,
    keyvault_content,
    ml,
    ml_isolation,
    monitor,
    network,
    network_exposure,
    postgres,
    postgres_protection,
    storage,
    storage_protection,
    telemetry,
)
from policies.controls.azure import regions as azure_regions
from policies.controls.kubernetes import (
    cluster_objects,
    helm,
    inference_service,
    placement,
    pod,
    pod_practice,
    pod_security,
    rbac,
    rbac_cluster_objects,
    reliability,
    workload,
)
from policies.engine import exceptions
from policies.engine.carriers import find_types, may_carry_any
from policies.engine.control import Control
from policies.engine.exceptions import ReviewedException
from policies.engine.findings import Finding, Props
from policies.engine.registry import REGISTRY
from policies.engine.stack_settings import extend_defaults

SERVICES: tuple[tuple[str, ModuleType], ...] = (
    ("Azure Kubernetes Service", aks),
    ("Azure Kubernetes Service: nodes", aks_nodes),
    ("Azure Kubernetes Service: operation", aks_operation),
    ("Azure Container Registry", acr),
    ("Azure Container Registry: content", acr_content),
    ("Azure Storage", storage),
    ("Azure Storage: protection", storage_protection),
    ("Azure managed disks", disks),
    ("Azure Key Vault", keyvault),
    ("Azure Key Vault: content", keyvault_content),
    ("Azure Cosmos DB", cosmos),
    ("Azure Cosmos DB: protection", cosmos_protection),
    ("Azure Database for PostgreSQL", postgres),
    ("Azure Database for PostgreSQL: protection", postgres_protection),
    ("Azure Machine Learning", ml),
    ("Azure Machine Learning: isolation and compute", ml_isolation),
    ("Azure networking", network),
    ("Azure networking: exposure", network_exposure),
    ("Azure Monitor", monitor),
    ("Azure Log Analytics and alerts", telemetry),
    ("Azure roles and identities", identity),
    ("Cost on Azure", cost),
    ("Azure regions", azure_regions),
    ("Amazon EKS and its nodes", eks),
    ("Amazon EKS: operation", eks_operation),
    ("Amazon ECR", ecr),
    ("Amazon S3", s3),
    ("Amazon S3: operation", s3_operation),
    ("Amazon DynamoDB", dynamodb),
    ("Amazon DynamoDB: operation", dynamodb_operation),
    ("Amazon RDS", rds),
    ("Amazon RDS: operation", rds_operation),
    ("AWS Secrets Manager", secretsmanager),
    ("AWS KMS", kms),
    ("AWS KMS: operation", kms_operation),
    ("AWS IAM", iam),
    ("AWS IAM: users", users),
    ("Amazon VPC", vpc),
    ("Amazon VPC: exposure", vpc_exposure),
    ("AWS CloudTrail", cloudtrail),
    ("Detection on AWS", detection),
    ("Amazon CloudWatch Logs", logs),
    ("Amazon SNS and SQS", messaging),
    ("Amazon SageMaker", sagemaker),
    ("Upkeep and cost on AWS", upkeep),
    ("AWS regions", regions),
    ("Kubernetes pods", pod),
    ("Kubernetes pods: further Pod Security Standards", pod_security),
    ("Kubernetes pods: practice", pod_practice),
    ("KServe InferenceServices", inference_service),
    ("Kubernetes namespaces, services and configuration", workload),
    ("Kubernetes objects other than workloads", cluster_objects),
    ("Kubernetes workloads: reliability", reliability),
    ("Kubernetes namespaces: placement", placement),
    ("Kubernetes RBAC", rbac),
    ("Kubernetes RBAC: objects of the cluster", rbac_cluster_objects),
    ("Helm releases", helm),
)


def controls() -> list[Control]:
    """Every control, in the order of the services above. Raises ValueError if a control's module is missing there."""
    order = {module.__name__: place for place, (_, module) in enumerate(SERVICES)}
    for control in REGISTRY.values():
        if control.function.__module__ not in order:
            raise ValueError(
                f"The control '{control.id}' is in {control.function.__module__}, which SERVICES in "
                "policies/contents.py does not list: add the module there, with the service's name."
            )
    return sorted(REGISTRY.values(), key=lambda control: order[control.function.__module__])


def get_control(control_id: str) -> Control:
    """The control with this ID. Raises KeyError if it does not exist."""
    return REGISTRY[control_id]


def controls_over(manifest: Props) -> list[Control]:
    """The controls over single resources that apply to a Kubernetes manifest."""
    type_ = manifest_type(manifest)
    applying = [control for control in controls() if not control.over_stack and control.applies_to(type_)]
    if not may_carry_any(type_):
        return applying
    types = set(find_types(type_, manifest))
    return [control for control in applying if not types.isdisjoint(control.types)]


def manifest_type(manifest: Props) -> str:
    """The type of a Kubernetes manifest, if it were a resource of a program."""
    api_version, kind = look_up(manifest, "apiVersion"), look_up(manifest, "kind")
    group = api_version if "/" in str(api_version) else f"core/{api_version}"
    return f"kubernetes:{group}:{kind}"


def configure_pack(configuration: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The pack configuration to use when the engine does not send the stack's: the settings that the stack extends.

    `configuration` is the stack's configuration, as a program gets it.
    """
    return {
        control.id: {name: setting.default for name, setting in extended.settings.items() if setting.extended_by}
        for control in controls()
        if (extended := extend_defaults(control, configuration)) is not control
    }


def evaluate_manifest(manifest: Props, configuration: Mapping[str, str] | None = None) -> list[tuple[Control, Finding]]:
    """The findings of `controls_over` the manifest, with the settings of a stack that has this configuration.

    `configuration` is as a program gets it: text by full key, with objects and lists as JSON.
    """
    in_force = [extend_defaults(control, configuration or {}) for control in controls_over(manifest)]
    type_ = manifest_type(manifest)
    return [(control, finding) for control in in_force for finding in control.evaluate_resource(type_, manifest)]


def load_exceptions(path: Path = exceptions.FILE) -> list[ReviewedException]:
    """The reviewed exceptions in a file. Raises ValueError with the problems of every malformed entry."""
    return exceptions.load(REGISTRY.keys(), path)
