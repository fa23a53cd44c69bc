"""The one list of resource types that hold data, and what is lost with a resource of each type."""

from __future__ import annotations

from typing import Final

HOLDINGS: Final = {
    "aws:backup/vault:Vault": "its recovery points",
    "aws:cloudwatch/logGroup:LogGroup": "its logs",
    "aws:cognito/userPool:UserPool": "its users",
    "aws:docdb/cluster:Cluster": "its databases",
    "aws:dynamodb/globalTable:GlobalTable": "its items",
    "aws:dynamodb/table:Table": "its items",
    "aws:ebs/snapshot:Snapshot": "its copy of the volume",
    "aws:ebs/volume:Volume": "its files",
    "aws:ecr/repository:Repository": "its images",
    "aws:ecrpublic/repository:Repository": "its images",
    "aws:efs/fileSystem:FileSystem": "its files",
    "aws:fsx/lustreFileSystem:LustreFileSystem": "its files",
    "aws:kinesis/stream:Stream": "its records",
    "aws:kms/key:Key": "everything that is encrypted with it, after its waiting period",
    "aws:kms/replicaKey:ReplicaKey": "everything in its region that is encrypted with it, after its waiting period",
    "aws:lightsail/database:Database": "its databases",
    "aws:memorydb/cluster:Cluster": "its data",
    "aws:msk/cluster:Cluster": "its topics",
    "aws:neptune/cluster:Cluster": "its graphs",
    "aws:opensearch/domain:Domain": "its indices",
    "aws:rds/cluster:Cluster": "its databases",
    "aws:rds/instance:Instance": "its databases",
    "aws:redshift/cluster:Cluster": "its databases",
    "aws:s3/bucket:Bucket": "its objects",
    "aws:s3/bucketV2:BucketV2": "its objects",
    "aws:sagemaker/domain:Domain": "its users' files",
    "aws:sagemaker/featureGroup:FeatureGroup": "its online features",
    "aws:secretsmanager/secret:Secret": "its values, after their recovery window",
    "aws:sqs/queue:Queue": "its messages",
    "aws:timestreamwrite/table:Table": "its records",
    "azure-native:appconfiguration:ConfigurationStore": "its values, after their recovery window",
    "azure-native:compute:Disk": "its files",
    "azure-native:compute:Snapshot": "its copy of the disk",
    "azure-native:containerregistry:Registry": "its images",
    "azure-native:cosmosdb:DatabaseAccount": "its databases",
    "azure-native:cosmosdb:MongoDBResourceMongoDBCollection": "its documents",
    "azure-native:cosmosdb:SqlResourceSqlContainer": "its items",
    "azure-native:cosmosdb:SqlResourceSqlDatabase": "its containers",
    "azure-native:cosmosdb:TableResourceTable": "its entities",
    "azure-native:dataprotection:BackupVault": "its recovery points",
    "azure-native:dbformysql:Database": "its tables",
    "azure-native:dbformysql:Server": "its databases",
    "azure-native:dbforpostgresql:Database": "its tables",
    "azure-native:dbforpostgresql:Server": "its databases",
    "azure-native:eventhub:EventHub": "its events",
    "azure-native:keyvault:Key": "everything that is encrypted with it",
    "azure-native:keyvault:ManagedHsm": "its keys, after their recovery window",
    "azure-native:keyvault:Secret": "its values",
    "azure-native:keyvault:Vault": "its keys and secrets, after their recovery window",
    "azure-native:kusto:Cluster": "its databases",
    "azure-native:kusto:ReadWriteDatabase": "its tables",
    "azure-native:machinelearningservices:Workspace": "its runs and models",
    "azure-native:netapp:CapacityPoolVolume": "its files",
    "azure-native:operationalinsights:Workspace": "its logs",
    "azure-native:recoveryservices:Vault": "its recovery points",
    "azure-native:redisenterprise:Database": "its data",
    "azure-native:resources:ResourceGroup": "everything in it",
    "azure-native:search:Service": "its indices",
    "azure-native:sql:Database": "its tables",
    "azure-native:sql:ManagedDatabase": "its tables",
    "azure-native:sql:ManagedInstance": "its databases",
    "azure-native:sql:Server": "its databases",
    "azure-native:storage:BlobContainer": "its blobs",
    "azure-native:storage:FileShare": "its files",
    "azure-native:storage:Queue": "its messages",
    "azure-native:storage:StorageAccount": "its blobs and files",
    "azure-native:storage:Table": "its entities",
    "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition": "all objects of its kind",
    "kubernetes:core/v1:Namespace": "everything in it",
    "kubernetes:core/v1:PersistentVolume": "its files, unless it is retained",
    "kubernetes:core/v1:PersistentVolumeClaim": "its files, unless its class retains them",
    "random:index/randomPassword:RandomPassword": "the password that others sign in with",
}
"""Keyed by Pulumi's resource types; those of Azure without the API version."""

# Packages whose types with data are all in the list, or that have no types with data.
_KNOWN_PACKAGES: Final = frozenset({*(type_.partition(":")[0] for type_ in HOLDINGS), "pulumi", "tls", "time"})
# Former names of the Azure provider's modules. Source: its migration guide from version 2 to 3,
# https://www.pulumi.com/registry/packages/azure-native/from-v2-to-v3/
_FORMER_MODULES: Final = {"documentdb": "cosmosdb"}


def find_holding(type_: str) -> str:
    """What is lost with a resource of a type, such as `its logs`; empty if the type is not known to hold data."""
    return HOLDINGS.get(normalize_type(type_), "")


def is_known_package(type_: str) -> bool:
    """Whether the list covers the package of a type, so that a type of it that is not listed holds no data."""
    return type_.partition(":")[0] in _KNOWN_PACKAGES


def describe_loss(type_: str, verb: str, causes: str = "", *, is_protected: bool = False) -> str:
    """A sentence without its subject: `is replaced because of location, and with it its databases`; empty if no loss.

    verb    `replaced` or `deleted`
    causes  the properties that force it, separated by commas
    """
    holding = find_holding(type_)
    if not holding:
        return ""
    cause = f" because of {causes}" if causes else ""
    guard = "; it is protected, so the engine refuses" if is_protected else ""
    return f"is {verb}{cause}, and with it {holding}{guard}"


def normalize_type(type_: str) -> str:
    """The type without API version: `azure-native:storage:Table` for `azure-native:storage/v20240101:Table`."""
    package, module, name = type_.split(":", 2) if type_.count(":") >= 2 else (type_, "", "")
    if package == "azure-native":
        module = module.partition("/")[0]
        module = _FORMER_MODULES.get(module, module)
    return f"{package}:{module}:{name}"
