"""The five cases of every control on AWS clusters, stores and keys."""

import json
from dataclasses import replace
from typing import Any

from tests.support.policies.cases import (
    UNKNOWN_TEXT,
    Cases,
    Declared,
    Subject,
    nested,
    property_cases,
    resource_cases,
    with_type,
)

EKS, ADDON = "aws:eks/cluster:Cluster", "aws:eks/addon:Addon"
MACHINES = (
    "aws:ec2/launchTemplate:LaunchTemplate",
    "aws:ec2/instance:Instance",
    "aws:ec2/spotInstanceRequest:SpotInstanceRequest",
    "aws:ec2/launchConfiguration:LaunchConfiguration",
)
PLACEMENT = "aws:ec2/placementGroup:PlacementGroup"
ECR, ECR_POLICY = "aws:ecr/repository:Repository", "aws:ecr/repositoryPolicy:RepositoryPolicy"
ECR_TEMPLATE = "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate"
REGISTRY_POLICY = "aws:ecr/registryPolicy:RegistryPolicy"
PULL_THROUGH = "aws:ecr/pullThroughCacheRule:PullThroughCacheRule"
BUCKET, BUCKET_V2 = "aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2"
ACL, ACL_V2 = "aws:s3/bucketAcl:BucketAcl", "aws:s3/bucketAclV2:BucketAclV2"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
SSE = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
SSE_V2 = "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
LOGGING, NOTIFICATION = "aws:s3/bucketLogging:BucketLogging", "aws:s3/bucketNotification:BucketNotification"
OBJECTS = (
    "aws:s3/bucketObject:BucketObject",
    "aws:s3/bucketObjectv2:BucketObjectv2",
    "aws:s3/objectCopy:ObjectCopy",
)
ACCOUNT_BLOCK = "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock"
S3_POLICIES = (
    BUCKET,
    BUCKET_POLICY,
    "aws:s3/accessPoint:AccessPoint",
    "aws:s3/filesFileSystemPolicy:FilesFileSystemPolicy",
    "aws:s3/vectorsVectorBucketPolicy:VectorsVectorBucketPolicy",
    "aws:s3control/accessGrantsInstanceResourcePolicy:AccessGrantsInstanceResourcePolicy",
    "aws:s3control/accessPointPolicy:AccessPointPolicy",
    "aws:s3control/bucketPolicy:BucketPolicy",
    "aws:s3control/objectLambdaAccessPointPolicy:ObjectLambdaAccessPointPolicy",
)
S3_TABLE_POLICIES = ("aws:s3tables/tableBucketPolicy:TableBucketPolicy", "aws:s3tables/tablePolicy:TablePolicy")
TABLE, ITEM = "aws:dynamodb/table:Table", "aws:dynamodb/tableItem:TableItem"
REPLICA = "aws:dynamodb/tableReplica:TableReplica"
RDS, AURORA, PROXY = "aws:rds/instance:Instance", "aws:rds/cluster:Cluster", "aws:rds/proxy:Proxy"
MEMBER, SHARDS = "aws:rds/clusterInstance:ClusterInstance", "aws:rds/shardGroup:ShardGroup"
GLOBAL = "aws:rds/globalCluster:GlobalCluster"
SECRET, SECRET_VERSION = "aws:secretsmanager/secret:Secret", "aws:secretsmanager/secretVersion:SecretVersion"
SECRET_POLICY = "aws:secretsmanager/secretPolicy:SecretPolicy"
KEY, KEY_POLICY, ALIAS = "aws:kms/key:Key", "aws:kms/keyPolicy:KeyPolicy", "aws:kms/alias:Alias"
OTHER_KEYS = (
    "aws:kms/replicaKey:ReplicaKey",
    "aws:kms/externalKey:ExternalKey",
    "aws:kms/replicaExternalKey:ReplicaExternalKey",
)

LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
ARN = "arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d"
FLAGS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> str:
    return document({"Effect": "Allow", "Action": action, "Resource": resource, **more})


def trust(principal: Any, **more: Any) -> str:
    return document({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, **more})


def resource_policy(types: tuple[str, ...], other: str, **further: str) -> Cases:
    """Cases for the controls that read a resource's own policy for principals. `further` are types by property."""
    cases = property_cases(
        types,
        "policy",
        good=(
            trust({"AWS": "arn:aws:iam::111122223333:root"}),
            trust("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-example"}}),
            document({"Effect": "Deny", "Action": "*", "Principal": "*"}),
        ),
        bad=(trust("*"), trust({"AWS": ["arn:aws:iam::111122223333:root", "*"]}), "not JSON"),
        absent="passes",
        other=other,
    )
    public = [[Declared(kind, nested(path, trust("*")))] for path, kind in further.items()]
    return replace(cases, violating=[*cases.violating, *public])


def bucket_with(kind: str, props: dict[str, Any], bucket: str = BUCKET) -> Subject:
    return [
        Declared(bucket, {"bucket": UNKNOWN_TEXT}, "models"),
        Declared(kind, {"bucket": UNKNOWN_TEXT, **props}, "beside", {"bucket": "models"}),
    ]


def beside_bucket(
    kind: str, good: dict[str, Any], bad: list[dict[str, Any]], unknown: dict[str, Any], *more_good: Subject
) -> Cases:
    """Cases for the controls that require a companion for every bucket."""
    by_name = [Declared(BUCKET, {"bucket": "models-1"}), Declared(kind, {"bucket": "models-1", **good}, "beside")]
    return Cases(
        compliant=[
            *(bucket_with(kind, good), bucket_with(kind, good, BUCKET_V2), by_name, *more_good),
            [Declared(kind, {"bucket": "models-1", **good})],
        ],
        violating=[
            *(bucket_with(kind, props) for props in bad),
            [Declared(BUCKET)],
            [Declared(BUCKET_V2)],
            [Declared(BUCKET, name="bare"), *bucket_with(kind, good)],
            # belongs to a bucket that is deployed elsewhere
            *([Declared(kind, {"bucket": "models-1", **props})] for props in bad),
        ],
        absent=("fails", bucket_with(kind, {})),
        unknown=("undecided", bucket_with(kind, unknown)),
        other_type=with_type([Declared(BUCKET)], NOTIFICATION),
    )


def block(**changes: object) -> dict[str, Any]:
    return {**dict.fromkeys(FLAGS, True), **changes}


def sse(algorithm: object) -> dict[str, Any]:
    return nested("rules[*].applyServerSideEncryptionByDefault.sseAlgorithm", algorithm)


def tls_policy(effect: str = "Deny", value: Any = "false", action: Any = "s3:*", **more: Any) -> str:
    condition = {"Bool": {"aws:SecureTransport": value}, **more}
    return document({"Effect": effect, "Action": action, "Principal": "*", "Resource": "*", "Condition": condition})


def endpoint(public: object, cidrs: object = None) -> dict[str, Any]:
    return {"vpcConfig": {"endpointPublicAccess": public, **({} if cidrs is None else {"publicAccessCidrs": cidrs})}}


def metadata(**options: object) -> dict[str, Any]:
    return {"metadataOptions": options}


CASES: dict[str, Cases] = {
    "aws-eks-public-endpoint": resource_cases(
        EKS,
        good=[endpoint(False), endpoint(True, ["203.0.113.0/24"]), endpoint(UNKNOWN_TEXT, ["203.0.113.0/24"])],
        bad=[
            endpoint(True),
            endpoint(True, []),
            endpoint(True, ["203.0.113.0/24", "0.0.0.0/0"]),
            endpoint(True, [UNKNOWN_TEXT, "::/0"]),
        ],
        absent=("fails", {}),
        unknown=("undecided", endpoint(True, ["203.0.113.0/24", UNKNOWN_TEXT])),
        other=ADDON,
    ),
    "aws-eks-private-endpoint": property_cases(
        EKS, "vpcConfig.endpointPrivateAccess", good=(True,), bad=(False,), absent="fails", other=ADDON
    ),
    "aws-eks-secrets-encryption": resource_cases(
        EKS,
        good=[
            {"encryptionConfig": {"provider": {"keyArn": ARN}, "resources": ["secrets"]}},
            {"encryptionConfig": {"provider": {"keyArn": UNKNOWN_TEXT}, "resources": ["secrets"]}},
        ],
        bad=[
            {"encryptionConfig": {"provider": {"keyArn": ARN}, "resources": []}},
            {"encryptionConfig": {"provider": {"keyArn": f"{ARN}:alias/aws/eks"}, "resources": ["secrets"]}},
            {"encryptionConfig": {"provider": {}, "resources": ["secrets"]}},
        ],
        absent=("fails", {}),
        unknown=("undecided", {"encryptionConfig": {"provider": {"keyArn": UNKNOWN_TEXT}, "resources": UNKNOWN_TEXT}}),
        other=ADDON,
    ),
    "aws-eks-control-plane-logs": resource_cases(
        EKS,
        good=[{"enabledClusterLogTypes": LOGS}, {"enabledClusterLogTypes": [*LOGS, UNKNOWN_TEXT]}],
        bad=[{"enabledClusterLogTypes": LOGS[1:]}, {"enabledClusterLogTypes": []}],
        absent=("fails", {}),
        unknown=("undecided", {"enabledClusterLogTypes": [*LOGS[1:], UNKNOWN_TEXT]}),
        other=ADDON,
    ),
    "aws-eks-access-entries": property_cases(
        EKS,
        "accessConfig.authenticationMode",
        good=("API",),
        bad=("API_AND_CONFIG_MAP", "CONFIG_MAP"),
        absent="fails",
        other=ADDON,
    ),
    "aws-eks-node-metadata-tokens": resource_cases(
        MACHINES[0],
        good=[metadata(httpTokens="required"), metadata(httpEndpoint="disabled")],
        bad=[metadata(httpTokens="optional", httpEndpoint="enabled")],
        absent=("fails", {}),
        unknown=("undecided", metadata(httpTokens=UNKNOWN_TEXT)),
        other=PLACEMENT,
        more_bad=[[Declared(kind, metadata(httpTokens="optional"))] for kind in MACHINES[1:]],
    ),
    "aws-eks-node-metadata-hops": resource_cases(
        MACHINES[0],
        good=[metadata(httpPutResponseHopLimit=1), metadata(httpPutResponseHopLimit=2, httpEndpoint="disabled")],
        bad=[metadata(httpPutResponseHopLimit=2)],
        absent=("passes", {}),
        unknown=("undecided", metadata(httpPutResponseHopLimit=UNKNOWN_TEXT)),
        other=PLACEMENT,
        more_bad=[[Declared(kind, metadata(httpPutResponseHopLimit=2))] for kind in MACHINES[1:]],
    ),
    "aws-ecr-immutable-tags": property_cases(
        (ECR, ECR_TEMPLATE),
        "imageTagMutability",
        good=("IMMUTABLE",),
        bad=("MUTABLE",),
        absent="fails",
        other=PULL_THROUGH,
    ),
    "aws-ecr-scan-on-push": property_cases(
        ECR,
        "imageScanningConfiguration.scanOnPush",
        good=(True,),
        bad=(False,),
        absent="fails",
        other=PULL_THROUGH,
    ),
    "aws-ecr-kms": property_cases(
        (ECR, ECR_TEMPLATE),
        "encryptionConfigurations[*].encryptionType",
        good=("KMS", "KMS_DSSE"),
        bad=("AES256",),
        absent="fails",
        other=PULL_THROUGH,
    ),
    "aws-ecr-public-policy": resource_policy((ECR_POLICY, REGISTRY_POLICY), ECR, repositoryPolicy=ECR_TEMPLATE),
    "aws-s3-public-acl": property_cases(
        (BUCKET, BUCKET_V2, ACL, ACL_V2, *OBJECTS),
        "acl",
        good=("private", "log-delivery-write"),
        bad=("public-read", "public-read-write", "authenticated-read"),
        absent="passes",
        other=NOTIFICATION,
    ),
    "aws-s3-policy-principal": resource_policy(S3_POLICIES, NOTIFICATION),
    "aws-s3-public-access-block": beside_bucket(
        BLOCK, block(), [block(**{flag: False}) for flag in FLAGS], block(blockPublicAcls=UNKNOWN_TEXT)
    ),
    "aws-s3-kms": beside_bucket(
        SSE,
        sse("aws:kms"),
        [sse("AES256")],
        sse(UNKNOWN_TEXT),
        bucket_with(SSE_V2, sse("aws:kms:dsse"), BUCKET_V2),
        [
            Declared(
                BUCKET,
                {"serverSideEncryptionConfiguration": {"rule": sse("aws:kms")["rules"][0]}},
            )
        ],
        [
            *bucket_with(SSE, sse("aws:kms")),
            Declared(BUCKET, name="logs"),
            Declared(LOGGING, {"targetBucket": UNKNOWN_TEXT}, "logging", {"bucket": "models", "targetBucket": "logs"}),
        ],
    ),
    "aws-s3-versioning": beside_bucket(
        VERSIONING,
        nested("versioningConfiguration.status", "Enabled"),
        [nested("versioningConfiguration.status", "Suspended")],
        nested("versioningConfiguration.status", UNKNOWN_TEXT),
        [Declared(BUCKET, {"versioning": {"enabled": True}})],
    ),
    "aws-s3-tls-only": beside_bucket(
        BUCKET_POLICY,
        {"policy": tls_policy()},
        [
            {"policy": tls_policy(effect="Allow")},
            {"policy": tls_policy(value="true")},
            {"policy": tls_policy(action="s3:GetObject")},
            {"policy": tls_policy(StringEquals={"aws:SourceVpc": "vpc-1"})},
        ],
        {"policy": UNKNOWN_TEXT},
        bucket_with(BUCKET_POLICY, {"policy": tls_policy(value=[False], action=["*"])}),
    ),
    "aws-dynamodb-point-in-time-recovery": property_cases(
        TABLE, "pointInTimeRecovery.enabled", good=(True,), bad=(False,), absent="fails", other=ITEM
    ),
    "aws-dynamodb-kms": resource_cases(
        TABLE,
        good=[{"serverSideEncryption": {"enabled": True, "kmsKeyArn": UNKNOWN_TEXT}}],
        bad=[
            {"serverSideEncryption": {"enabled": True}},
            {"serverSideEncryption": {"enabled": False, "kmsKeyArn": ARN}},
        ],
        absent=("fails", {}),
        unknown=("undecided", {"serverSideEncryption": {"enabled": UNKNOWN_TEXT, "kmsKeyArn": ARN}}),
        other=ITEM,
    ),
    "aws-rds-public-access": property_cases(
        (RDS, AURORA, MEMBER, SHARDS), "publiclyAccessible", good=(False,), bad=(True,), absent="passes", other=PROXY
    ),
    "aws-rds-encryption": property_cases(
        (RDS, AURORA), "storageEncrypted", good=(True,), bad=(False,), absent="fails", other=PROXY
    ),
    "aws-rds-backups": property_cases(
        (RDS, AURORA), "backupRetentionPeriod", good=(7, 30), bad=(6, 0), absent="fails", other=PROXY
    ),
    "aws-secretsmanager-kms": property_cases(
        SECRET, "kmsKeyId", good=(ARN,), bad=("",), absent="fails", unknown="passes", other=SECRET_VERSION
    ),
    "aws-secretsmanager-policy-principal": resource_policy((SECRET, SECRET_POLICY), SECRET_VERSION),
    "aws-kms-rotation": resource_cases(
        KEY,
        good=[{"enableKeyRotation": True}, {"customerMasterKeySpec": "RSA_2048"}],
        bad=[{"enableKeyRotation": False}, {"customerMasterKeySpec": "SYMMETRIC_DEFAULT"}],
        absent=("fails", {}),
        unknown=("undecided", {"enableKeyRotation": UNKNOWN_TEXT}),
        also_undecided=[[Declared(KEY, {"customerMasterKeySpec": UNKNOWN_TEXT})]],
        other=ALIAS,
    ),
    "aws-kms-policy-principal": resource_policy((KEY, KEY_POLICY, *OTHER_KEYS), ALIAS),
}
