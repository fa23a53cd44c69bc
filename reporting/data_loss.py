"""Warns where a change deletes or replaces something that holds data."""

from __future__ import annotations

from collections.abc import Iterable

from reporting.changes import Kind, ResourceChange

# What is in a resource of each type, and is gone with it. An object in a cluster is named by the end of its type.
_HOLDINGS = {
    "aws:cloudwatch/logGroup:LogGroup": "its logs",
    "aws:dynamodb/table:Table": "its items",
    "aws:ecr/repository:Repository": "its images",
    "aws:kms/key:Key": "everything that is encrypted with it, after its waiting period",
    "aws:rds/instance:Instance": "its databases",
    "aws:s3/bucket:Bucket": "its objects",
    "aws:s3/bucketV2:BucketV2": "its objects",
    "aws:secretsmanager/secret:Secret": "its values, after their recovery window",
    "azure-native:containerregistry:Registry": "its images",
    "azure-native:cosmosdb:DatabaseAccount": "its databases",
    "azure-native:cosmosdb:SqlResourceSqlContainer": "its items",
    "azure-native:cosmosdb:SqlResourceSqlDatabase": "its containers",
    "azure-native:dbforpostgresql:Database": "its tables",
    "azure-native:dbforpostgresql:Server": "its databases",
    "azure-native:keyvault:Key": "everything that is encrypted with it",
    "azure-native:keyvault:Secret": "its values",
    "azure-native:keyvault:Vault": "its keys and secrets, after their recovery window",
    "azure-native:machinelearningservices:Workspace": "its runs and models",
    "azure-native:operationalinsights:Workspace": "its logs",
    "azure-native:resources:ResourceGroup": "everything in it",
    "azure-native:storage:BlobContainer": "its blobs",
    "azure-native:storage:StorageAccount": "its blobs and files",
    "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition": "all objects of its kind",
    "kubernetes:core/v1:Namespace": "everything in it",
    "kubernetes:core/v1:PersistentVolume": "its files, unless it is retained",
    "kubernetes:core/v1:PersistentVolumeClaim": "its files, unless its class retains them",
    "random:index/randomPassword:RandomPassword": "the password that others sign in with",
}

_GONE = frozenset({Kind.DELETED, Kind.REPLACED})


def list_warnings(changes: Iterable[ResourceChange]) -> list[tuple[ResourceChange, str]]:
    """Those changes that lose data, with what is lost, in a sentence without its subject."""
    found = ((change, _HOLDINGS.get(_drop_version(change.type))) for change in changes if change.kind in _GONE)
    return [(change, _describe(change, holding)) for change, holding in found if holding]


def _describe(change: ResourceChange, holding: str) -> str:
    verb = "replaced" if change.kind is Kind.REPLACED else "deleted"
    causes = ", ".join(each.path for each in change.properties if each.replaces)
    cause = f" because of {causes}" if causes and change.kind is Kind.REPLACED else ""
    guard = "; it is protected, so the engine refuses" if change.is_protected else ""
    return f"is {verb}{cause}, and with it {holding}{guard}"


def _drop_version(type_: str) -> str:
    """`azure-native:storage/v20240101:BlobContainer` is `azure-native:storage:BlobContainer` of one API version."""
    package, module, name = type_.split(":", 2) if type_.count(":") >= 2 else (type_, "", "")
    if package == "azure-native":
        module = module.partition("/")[0]
    return f"{package}:{module}:{name}"
