"""The cases of controls whose settings say what is rejected: with the defaults they find nothing."""

from dataclasses import replace
from typing import Any, Final

from tests.support.policies.aws_cases import trust
from tests.support.policies.cases import Cases, Declared, property_cases

AZURE_LOCATED: Final = tuple(
    f"azure-native:{name}"
    for name in (
        *("containerregistry:Registry", "containerservice:ManagedCluster", "cosmosdb:DatabaseAccount"),
        *("dbforpostgresql:Server", "keyvault:Vault", "machinelearningservices:Workspace"),
        *("network:VirtualNetwork", "resources:ResourceGroup", "storage:StorageAccount"),
    )
)
AWS_LOCATED: Final = (
    "pulumi:providers:aws",
    *(
        f"aws:{name}"
        for name in (
            *("dynamodb/table:Table", "dynamodb/tableReplica:TableReplica", "ec2/vpc:Vpc"),
            *("ecr/repository:Repository", "eks/cluster:Cluster", "kms/key:Key", "rds/cluster:Cluster"),
            *("rds/instance:Instance", "s3/bucket:Bucket", "secretsmanager/secret:Secret"),
        )
    ),
)
RESOURCE_POLICIES: Final = {
    "policy": (
        *("acmpca/policy:Policy", "apigateway/restApi:RestApi", "apigateway/restApiPolicy:RestApiPolicy"),
        *("backup/vaultPolicy:VaultPolicy", "bedrock/agentcoreResourcePolicy:AgentcoreResourcePolicy"),
        *("cloudwatch/eventBusPolicy:EventBusPolicy", "codebuild/resourcePolicy:ResourcePolicy"),
        *("dsql/clusterPolicy:ClusterPolicy", "dynamodb/resourcePolicy:ResourcePolicy"),
        *("ecrpublic/repositoryPolicy:RepositoryPolicy", "efs/fileSystemPolicy:FileSystemPolicy"),
        *("glue/resourcePolicy:ResourcePolicy", "kinesis/resourcePolicy:ResourcePolicy"),
        *("lambda/resourcePolicy:ResourcePolicy", "mediastore/containerPolicy:ContainerPolicy"),
        *("msk/clusterPolicy:ClusterPolicy", "oam/sinkPolicy:SinkPolicy"),
        *("opensearchingest/resourcePolicy:ResourcePolicy", "redshift/resourcePolicy:ResourcePolicy"),
        *("redshiftserverless/resourcePolicy:ResourcePolicy", "schemas/registryPolicy:RegistryPolicy"),
        *("ses/identityPolicy:IdentityPolicy", "sesv2/emailIdentityPolicy:EmailIdentityPolicy"),
        *("vpclattice/authPolicy:AuthPolicy", "vpclattice/resourcePolicy:ResourcePolicy"),
    ),
    "policyDocument": (
        *("amp/resourcePolicy:ResourcePolicy", "cloudwatch/logResourcePolicy:LogResourcePolicy"),
        "codeartifact/domainPermissions:DomainPermissions",
        "codeartifact/repositoryPermissionsPolicy:RepositoryPermissionsPolicy",
        "xray/resourcePolicy:ResourcePolicy",
    ),
    "resourcePolicy": ("sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy",),
    "accessPolicy": ("cloudwatch/logDestinationPolicy:LogDestinationPolicy", "glacier/vault:Vault"),
    "accessPolicies": (
        *("elasticsearch/domain:Domain", "elasticsearch/domainPolicy:DomainPolicy"),
        *("opensearch/domain:Domain", "opensearch/domainPolicy:DomainPolicy"),
    ),
}


def in_regions(types: tuple[str, ...], path: str, *, good: tuple[str, ...], bad: tuple[str, ...], other: str) -> Cases:
    cases = property_cases(types, path, good=good, bad=bad, absent="passes", other=other)
    return replace(cases, settings={"allowed": list(good[:1])})


def resource_policies() -> Cases:
    public, named = trust("*"), trust({"AWS": "arn:aws:iam::111122223333:root"})
    cases = property_cases(
        f"aws:{RESOURCE_POLICIES['policy'][0]}",
        "policy",
        good=(named,),
        bad=(public,),
        absent="passes",
        other="aws:iam/instanceProfile:InstanceProfile",
    )
    every = [(f"aws:{name}", path) for path, names in RESOURCE_POLICIES.items() for name in names]
    return replace(
        cases,
        compliant=[[Declared(kind, {path: named})] for kind, path in every],
        violating=[[Declared(kind, {path: public})] for kind, path in every],
    )


def _with_copies(cases: Cases, copies: dict[str, tuple[Any, ...]]) -> Cases:
    """The cases, and further ones of resources with copies in other regions."""
    return replace(
        cases,
        violating=[*cases.violating, *([Declared(kind, props)] for kind, each in copies.items() for props in each)],
    )


CASES: Final[dict[str, Cases]] = {
    "aws-iam-resource-policy-principal": resource_policies(),
    "azure-resources-region": _with_copies(
        in_regions(
            AZURE_LOCATED,
            "location",
            good=("West Europe", "westeurope"),
            bad=("eastus",),
            other="azure-native:storage:BlobContainer",
        ),
        {"azure-native:cosmosdb:DatabaseAccount": ({"locations": [{"locationName": "eastus"}]},)},
    ),
    "aws-resources-region": _with_copies(
        in_regions(
            AWS_LOCATED,
            "region",
            good=("eu-west-1",),
            bad=("us-east-1",),
            other="aws:iam/instanceProfile:InstanceProfile",
        ),
        {"aws:dynamodb/table:Table": ({"replicas": [{"regionName": "us-east-1"}]},)},
    ),
}
