"""The pack's table of contents. Importing a service's module registers its controls."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from kernel.paths import look_up
from policies.controls.aws import (
    cloudtrail,
    dynamodb,
    ecr,
    eks,
    iam,
    kms,
    logs,
    messaging,
    rds,
    regions,
    s3,
    secretsmanager,
    vpc,
)
from policies.controls.azure import acr, aks, cosmos, identity, keyvault, ml, monitor, network, postgres, storage
from policies.controls.azure import regions as azure_regions
from policies.controls.kubernetes import cluster_objects, helm, inference_service, pod, pod_security, rbac, workload
from policies.engine import exceptions
from policies.engine.control import Control
from policies.engine.exceptions import ReviewedException
from policies.engine.findings import Finding, Props
from policies.engine.registry import REGISTRY
from policies.engine.stack_settings import extend_defaults

SERVICES: tuple[tuple[str, ModuleType], ...] = (
    ("Azure Kubernetes Service", aks),
    ("Azure Container Registry", acr),
    ("Azure Storage", storage),
    ("Azure Key Vault", keyvault),
    ("Azure Cosmos DB", cosmos),
    ("Azure Database for PostgreSQL", postgres),
    ("Azure Machine Learning", ml),
    ("Azure networking", network),
    ("Azure Monitor", monitor),
    ("Azure roles and identities", identity),
    ("Azure regions", azure_regions),
    ("Amazon EKS and its nodes", eks),
    ("Amazon ECR", ecr),
    ("Amazon S3", s3),
    ("Amazon DynamoDB", dynamodb),
    ("Amazon RDS", rds),
    ("AWS Secrets Manager", secretsmanager),
    ("AWS KMS", kms),
    ("AWS IAM", iam),
    ("Amazon VPC", vpc),
    ("AWS CloudTrail", cloudtrail),
    ("Amazon CloudWatch Logs", logs),
    ("Amazon SNS and SQS", messaging),
    ("AWS regions", regions),
    ("Kubernetes pods", pod),
    ("Kubernetes pods: further Pod Security Standards", pod_security),
    ("KServe InferenceServices", inference_service),
    ("Kubernetes namespaces, services and configuration", workload),
    ("Kubernetes objects beside workloads", cluster_objects),
    ("Kubernetes RBAC", rbac),
    ("Helm releases", helm),
)


def controls() -> list[Control]:
    """Every control, service by service in the order above. Raises ValueError where a control's module is missing."""
    order = {module.__name__: place for place, (_, module) in enumerate(SERVICES)}
    for control in REGISTRY.values():
        if control.function.__module__ not in order:
            raise ValueError(
                f"The control '{control.id}' is in {control.function.__module__}, which SERVICES in "
                "policies/contents.py does not list: add the module there, with the service's name."
            )
    return sorted(REGISTRY.values(), key=lambda control: order[control.function.__module__])


def get_control(control_id: str) -> Control:
    """The control with this ID. Raises KeyError where there is none."""
    return REGISTRY[control_id]


def controls_over(manifest: Props) -> list[Control]:
    """The controls over single resources that apply to a Kubernetes manifest."""
    type_ = manifest_type(manifest)
    return [control for control in controls() if not control.over_stack and control.applies_to(type_)]


def manifest_type(manifest: Props) -> str:
    """The type that a Kubernetes manifest has as a resource of a program."""
    api_version, kind = look_up(manifest, "apiVersion"), look_up(manifest, "kind")
    group = api_version if "/" in str(api_version) else f"core/{api_version}"
    return f"kubernetes:{group}:{kind}"


def configure_pack(configuration: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What a pack's configuration has to say where the engine does not send the stack's: the settings that it extends.

    `configuration` is what a program gets.
    """
    return {
        control.id: {name: setting.default for name, setting in extended.settings.items() if setting.extended_by}
        for control in controls()
        if (extended := extend_defaults(control, configuration)) is not control
    }


def evaluate_manifest(manifest: Props, configuration: Mapping[str, str] | None = None) -> list[tuple[Control, Finding]]:
    """The findings of those controls on the manifest, with the settings of a stack that has this configuration.

    `configuration` is what a program gets: text by full key, with objects and lists as JSON.
    """
    in_force = [extend_defaults(control, configuration or {}) for control in controls_over(manifest)]
    type_ = manifest_type(manifest)
    return [(control, finding) for control in in_force for finding in control.evaluate_resource(type_, manifest)]


def load_exceptions(path: Path = exceptions.FILE) -> list[ReviewedException]:
    """The reviewed exceptions in a file. Raises ValueError with every malformed entry and what is wrong with it."""
    return exceptions.load(REGISTRY.keys(), path)
