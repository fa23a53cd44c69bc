"""The pack's table of contents. Importing a service's module registers its controls."""

from types import ModuleType

from policies import (
    aws_cloudtrail,
    aws_dynamodb,
    aws_ecr,
    aws_eks,
    aws_iam,
    aws_kms,
    aws_rds,
    aws_s3,
    aws_secretsmanager,
    aws_vpc,
    azure_acr,
    azure_aks,
    azure_cosmos,
    azure_keyvault,
    azure_ml,
    azure_monitor,
    azure_network,
    azure_postgres,
    azure_storage,
    k8s_helm,
    k8s_pod,
    k8s_rbac,
    k8s_workload,
)
from policies.control import REGISTRY, Control
from policies.props import Props, Verdict, lookup

SERVICES: tuple[tuple[str, ModuleType], ...] = (
    ("Azure Kubernetes Service", azure_aks),
    ("Azure Container Registry", azure_acr),
    ("Azure Storage", azure_storage),
    ("Azure Key Vault", azure_keyvault),
    ("Azure Cosmos DB", azure_cosmos),
    ("Azure Database for PostgreSQL", azure_postgres),
    ("Azure Machine Learning", azure_ml),
    ("Azure networking", azure_network),
    ("Azure Monitor", azure_monitor),
    ("Amazon EKS and its nodes", aws_eks),
    ("Amazon ECR", aws_ecr),
    ("Amazon S3", aws_s3),
    ("Amazon DynamoDB", aws_dynamodb),
    ("Amazon RDS", aws_rds),
    ("AWS Secrets Manager", aws_secretsmanager),
    ("AWS KMS", aws_kms),
    ("AWS IAM", aws_iam),
    ("Amazon VPC", aws_vpc),
    ("AWS CloudTrail", aws_cloudtrail),
    ("Kubernetes pods", k8s_pod),
    ("Kubernetes namespaces, services and configuration", k8s_workload),
    ("Kubernetes RBAC", k8s_rbac),
    ("Helm releases", k8s_helm),
)


def controls() -> list[Control]:
    """Every control, service by service in the order above."""
    order = [module.__name__.rpartition(".")[2] for _, module in SERVICES]
    return sorted(REGISTRY.values(), key=lambda control: order.index(control.service))


def controls_over(manifest: Props) -> list[Control]:
    """The controls over single resources that concern a Kubernetes manifest."""
    api_version, kind = lookup(manifest, "apiVersion"), lookup(manifest, "kind")
    group = api_version if "/" in str(api_version) else f"core/{api_version}"
    type_ = f"kubernetes:{group}:{kind}"
    return [control for control in controls() if not control.over_stack and control.applies_to(type_)]


def judge_manifest(manifest: Props) -> list[tuple[Control, Verdict]]:
    """What they say of it, with default settings."""
    return [(control, verdict) for control in controls_over(manifest) for verdict in control.judge(manifest)]
