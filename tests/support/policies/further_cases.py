"""Further cases of controls: other resources with the same property, separate companions, and services' defaults.

The five kinds of cases of each control are in the other modules; these cases are added to them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tests.support.policies.aws_account_cases import NEW_RULE, in_vpc, ssh
from tests.support.policies.aws_cases import (
    ACCOUNT_BLOCK,
    ACL,
    ARN,
    AURORA,
    BLOCK,
    BUCKET,
    BUCKET_POLICY,
    BUCKET_V2,
    FLAGS,
    GLOBAL,
    OBJECTS,
    RDS,
    REPLICA,
    S3_TABLE_POLICIES,
    VERSIONING,
    allow,
    block,
    bucket_with,
    tls_policy,
    trust,
)
from tests.support.policies.azure_cases import (
    BLOBS,
    COSMOS,
    DIAGNOSTICS,
    ENDPOINT,
    ML,
    NSG,
    PG_RULE,
    STORAGE,
    VAULT,
)
from tests.support.policies.azure_cases import (
    ssh as azure_ssh,
)
from tests.support.policies.cases import UNKNOWN_TEXT, Cases, Declared, Subject, nested

DEFAULT_VPC, DEFAULT_GROUP = "aws:ec2/defaultVpc:DefaultVpc", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
FLOW_LOG, DEFAULT_SUBNET = "aws:ec2/flowLog:FlowLog", "aws:ec2/defaultSubnet:DefaultSubnet"
NETWORK_ACL, DEFAULT_ACL = "aws:ec2/networkAcl:NetworkAcl", "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl"
ACL_RULE = "aws:ec2/networkAclRule:NetworkAclRule"
EGRESS_RULE = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
ACCESS_POLICY = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
PERMISSIONS = "aws:ssoadmin/permissionSetInlinePolicy:PermissionSetInlinePolicy"
MULTI_REGION = "aws:s3control/multiRegionAccessPointPolicy:MultiRegionAccessPointPolicy"
EXCLUSIVE = tuple(
    f"aws:iam/{kind.lower()}PolicyAttachmentsExclusive:{kind}PolicyAttachmentsExclusive"
    for kind in ("Role", "User", "Group")
)
WIDE_SETTINGS = (
    "azure-native:monitor:SubscriptionDiagnosticSetting",
    "azure-native:monitor:ManagementGroupDiagnosticSetting",
)
MONGO_RULE, ADMIN_RULE = "azure-native:cosmosdb:MongoClusterFirewallRule", "azure-native:network:AdminRule"
PG_RULES = (
    PG_RULE,
    "azure-native:dbforpostgresql:ServerGroupFirewallRule",
    "azure-native:dbforpostgresql:SingleServerFirewallRule",
)
HSM, ONLINE = "azure-native:keyvault:ManagedHsm", "azure-native:machinelearningservices:OnlineEndpoint"
ML_REGISTRY = "azure-native:machinelearningservices:Registry"
NETWORK_POLICY, SERVICE = "kubernetes:networking.k8s.io/v1:NetworkPolicy", "kubernetes:core/v1:Service"
NAMESPACE, POD = "kubernetes:core/v1:Namespace", "kubernetes:core/v1:Pod"
INFERENCE_SERVICE = "kubernetes:serving.kserve.io/v1beta1:InferenceService"

ADMINISTRATOR, EKS_ADMINISTRATOR = (
    "arn:aws:iam::aws:policy/AdministratorAccess",
    "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
)
ALL_OF_AZURE = {"startIpAddress": "0.0.0.0", "endIpAddress": "0.0.0.0"}  # noqa: S104 (a control rejects it)
EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"
SOURCE = "arn:aws:rds:eu-west-1:111122223333:db:mlflow"
WIDE, NARROW = (
    {"startIpAddress": "1.0.0.0", "endIpAddress": "223.255.255.255"},
    {"startIpAddress": "203.0.113.0", "endIpAddress": "203.0.113.255"},
)
AZURE_INTERNAL = "service.beta.kubernetes.io/azure-load-balancer-internal"
AWS_SCHEME = "service.beta.kubernetes.io/aws-load-balancer-scheme"


def one(kind: str, props: Mapping[str, Any] | None = None) -> Subject:
    return [Declared(kind, props or {})]


def inline_encryption(algorithm: object) -> dict[str, Any]:
    """Encryption as a property of a BucketV2."""
    rule = {"applyServerSideEncryptionByDefaults": [{"sseAlgorithm": algorithm}]}
    return {"serverSideEncryptionConfigurations": [{"rules": [rule]}]}


def numbered(action: str, number: int, **changes: Any) -> dict[str, Any]:
    """A rule of a network ACL."""
    rule = {"action": action, "ruleNo": number, "protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlock": "0.0.0.0/0"}
    return {**rule, **changes}


def acl_rule(**changes: Any) -> dict[str, Any]:
    rule = {"ruleAction": "allow", "egress": False, "protocol": "tcp", "fromPort": 0, "toPort": 1024}
    return {**rule, "cidrBlock": "0.0.0.0/0", **changes}


def attached(kind: str, refers_to: str) -> Subject:
    """A rule of a separately declared default security group, or of the one that a VPC names."""
    rule = Declared(kind, {"securityGroupId": UNKNOWN_TEXT}, "rule", {"securityGroupId": refers_to})
    return [*in_vpc(DEFAULT_GROUP, {}), rule]


def sent(**changes: Any) -> dict[str, Any]:
    return {"resourceUri": UNKNOWN_TEXT, "logs": [{"enabled": True}], "workspaceId": UNKNOWN_TEXT, **changes}


def logged(**changes: Any) -> Subject:
    return [Declared(VAULT, name="vault"), Declared(DIAGNOSTICS, sent(**changes), "setting", {"resourceUri": "vault"})]


def in_namespace(**spec: Any) -> Subject:
    policy = {"metadata": {"namespace": "mlflow"}, "spec": {"podSelector": {}, **spec}}
    return [Declared(NAMESPACE, {"metadata": {"name": "mlflow"}}, "space"), Declared(NETWORK_POLICY, policy, "policy")]


def admit(rule: dict[str, Any]) -> Subject:
    return one(NETWORK_POLICY, {"spec": {"podSelector": {}, "ingress": [rule]}})


def balancer(**annotations: str) -> Subject:
    named = {"azure": AZURE_INTERNAL, "aws": AWS_SCHEME}
    metadata = {"annotations": {named[cloud]: value for cloud, value in annotations.items()}}
    return one(SERVICE, {"metadata": metadata, "spec": {"type": "LoadBalancer"}})


def pod(*containers: dict[str, Any], **spec: Any) -> Subject:
    return one(POD, {"spec": {**spec, "containers": list(containers)}})


def limits(**quantities: str) -> dict[str, Any]:
    return {"name": "main", "resources": {"limits": quantities}}


COMPLIANT: Final[Mapping[str, Sequence[Subject]]] = {
    "aws-iam-administrator": [one(PERMISSIONS, {"inlinePolicy": allow("s3:GetObject")})],
    "aws-iam-administrator-attached": [
        *(one(kind, {"policyArns": [ARN]}) for kind in EXCLUSIVE),
        one(ACCESS_POLICY, {"policyArn": EKS_ADMINISTRATOR, "accessScope": {"type": "namespace"}}),
    ],
    "aws-dynamodb-point-in-time-recovery": [one(REPLICA, {"pointInTimeRecovery": True})],
    "aws-dynamodb-kms": [one(REPLICA, {"kmsKeyArn": ARN})],
    # A replica has the encryption and the backups of its source.
    "aws-rds-encryption": [
        one(RDS, {"replicateSourceDb": SOURCE}),
        one(AURORA, {"replicationSourceIdentifier": SOURCE}),
        one(GLOBAL, {"sourceDbClusterIdentifier": UNKNOWN_TEXT}),
        one(GLOBAL, {"storageEncrypted": True}),
    ],
    "aws-rds-backups": [one(RDS, {"replicateSourceDb": SOURCE}), one(RDS, {"replicateSourceDb": UNKNOWN_TEXT})],
    "aws-s3-public-access-block": [
        [Declared(BUCKET), Declared(ACCOUNT_BLOCK, block(), "account")],
        [Declared(BUCKET), Declared(BLOCK, {"bucket": "other"}, "block"), Declared(ACCOUNT_BLOCK, block(), "account")],
    ],
    "aws-s3-kms": [one(BUCKET_V2, inline_encryption("aws:kms"))],
    "aws-s3-versioning": [
        one(BUCKET_V2, {"versionings": [{"enabled": True}]}),
        [Declared(BUCKET_V2, {"versionings": [{"enabled": True}]}, "models"), *bucket_with(VERSIONING, {})[1:]],
    ],
    "aws-s3-tls-only": [one(BUCKET_V2, {"policy": tls_policy()})],
    "aws-vpc-admin-ports": [
        one(NETWORK_ACL, {"ingress": [numbered("deny", 90, protocol="tcp", toPort=4000), numbered("allow", 100)]}),
        one(NETWORK_ACL, {"ingress": [numbered("deny", 90)], "egress": [numbered("allow", 100)]}),
        one(ACL_RULE, acl_rule(egress=True)),
        one(ACL_RULE, acl_rule(ruleAction="deny")),
    ],
    "aws-vpc-flow-log": [
        in_vpc(FLOW_LOG, {"trafficType": "REJECT"}),
        one(FLOW_LOG, {"vpcId": "vpc-1", "trafficType": "ALL"}),
    ],
    "aws-vpc-subnet-public-addresses": [one(DEFAULT_SUBNET, {"mapPublicIpOnLaunch": False})],
    "aws-vpc-default-security-group": [
        in_vpc(DEFAULT_GROUP, {}),
        [*in_vpc(DEFAULT_GROUP, {}), Declared(NEW_RULE, {"securityGroupId": "sg-1"}, "of-another-group")],
        one(DEFAULT_GROUP, {"vpcId": "vpc-1"}),
    ],
    "azure-cosmos-azure-datacenters": [one(MONGO_RULE, NARROW), one(COSMOS, {"ipRules": []})],
    "azure-postgres-open-firewall": [one(kind, NARROW) for kind in PG_RULES],
    "azure-monitor-diagnostic-settings": [
        *(logged(workspaceId=None, **{path: "/id"}) for path in ("storageAccountId", "eventHubAuthorizationRuleId")),
        *(one(kind, {"logs": [{"enabled": True}], "workspaceId": "/workspace"}) for kind in WIDE_SETTINGS),
        one(DIAGNOSTICS, {"resourceUri": "/ip", "metrics": [{"enabled": True}], "workspaceId": "/workspace"}),
    ],
    "azure-network-private-endpoints": [
        [
            Declared(VAULT, name="vault"),
            Declared(
                ENDPOINT,
                {"manualPrivateLinkServiceConnections": [{"privateLinkServiceId": UNKNOWN_TEXT}]},
                "endpoint",
                {"manualPrivateLinkServiceConnections": "vault"},
            ),
        ]
    ],
    "azure-network-admin-ports": [
        one(
            ADMIN_RULE,
            {
                "access": "AlwaysAllow",
                "direction": "Inbound",
                "sources": [{"addressPrefix": "10.0.0.0/8"}],
                "destinationPortRanges": ["22"],
            },
        )
    ],
    "azure-ml-public-network": [
        one(ML_REGISTRY, {"publicNetworkAccess": "Disabled"}),
        one(ONLINE, {"properties": {"publicNetworkAccess": "Disabled"}}),
    ],
    "k8s-namespace-network-policy": [in_namespace(), in_namespace(policyTypes=["Ingress", "Egress"], ingress=[])],
    "k8s-network-policy-open": [
        admit({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}),
        admit({"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443}]}),
        admit({"from": [{"namespaceSelector": {}}]}),
    ],
    "k8s-service-public-load-balancer": [balancer(azure="true", aws="internal")],
    "k8s-pod-read-only-root": [pod({"name": "main"}, os={"name": "windows"})],
    "k8s-pod-resources": [
        # A limit replaces a request that is not set, and resources of the pod replace those of its containers.
        pod(limits(cpu="1", memory="1Gi")),
        pod({"name": "main"}, resources={"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}),
        pod({"name": "main"}, resources={"limits": {"cpu": "1", "memory": "1Gi"}}),
        pod({"name": "main", "resources": {"limits": {"cpu": "1"}}}, resources={"limits": {"memory": "1Gi"}}),
    ],
    "k8s-inference-service-resources": [
        one(INFERENCE_SERVICE, {"spec": {"predictor": {"containers": [limits(cpu="1", memory="1Gi")]}}})
    ],
}

VIOLATING: Final[Mapping[str, Sequence[Subject]]] = {
    **{
        control: [one(PERMISSIONS, {"inlinePolicy": allow(action)})]
        for control, action in (
            ("aws-iam-administrator", "*"),
            ("aws-iam-service-wildcard", "s3:*"),
            ("aws-iam-pass-role", "iam:PassRole"),
            ("aws-iam-escalation", "iam:PutRolePolicy"),
            ("aws-iam-kms-decrypt", "kms:Decrypt"),
        )
    },
    "aws-iam-administrator-attached": [
        *(one(kind, {"policyArns": [ADMINISTRATOR]}) for kind in EXCLUSIVE),
        one("aws:ssoadmin/managedPolicyAttachment:ManagedPolicyAttachment", {"managedPolicyArn": ADMINISTRATOR}),
        one(
            "aws:ssoadmin/managedPolicyAttachmentsExclusive:ManagedPolicyAttachmentsExclusive",
            {"managedPolicyArns": [ADMINISTRATOR]},
        ),
        one(ACCESS_POLICY, {"policyArn": EKS_ADMINISTRATOR, "accessScope": {"type": "cluster"}}),
    ],
    "aws-dynamodb-point-in-time-recovery": [one(REPLICA, {"pointInTimeRecovery": False}), one(REPLICA)],
    "aws-dynamodb-kms": [one(REPLICA, {"kmsKeyArn": ""}), one(REPLICA)],
    "aws-rds-encryption": [one(GLOBAL, {"storageEncrypted": False}), one(RDS, {"replicateSourceDb": ""})],
    "aws-rds-iam-authentication": [one(AURORA, {"iamDatabaseAuthenticationEnabled": False})],
    "aws-s3-public-acl": [
        one(BUCKET, {"grants": [{"type": "Group", "uri": EVERYBODY, "permissions": ["READ"]}]}),
        one(OBJECTS[2], {"grants": [{"type": "Group", "uri": EVERYBODY, "permissions": ["READ"]}]}),
        one(ACL, {"accessControlPolicy": {"grants": [{"grantee": {"type": "Group", "uri": EVERYBODY}}]}}),
    ],
    "aws-s3-policy-principal": [
        one(MULTI_REGION, {"details": {"name": "models", "policy": trust("*")}}),
        *(one(kind, {"resourcePolicy": trust("*")}) for kind in S3_TABLE_POLICIES),
    ],
    "aws-s3-public-access-block": [
        *(one(ACCOUNT_BLOCK, block(**{flag: False})) for flag in FLAGS),
        one(BLOCK, {"bucket": "elsewhere"}),
        [Declared(BUCKET), Declared(ACCOUNT_BLOCK, block(blockPublicAcls=False), "account")],
    ],
    "aws-s3-kms": [one(BUCKET_V2, inline_encryption("AES256"))],
    "aws-s3-versioning": [one(BUCKET_V2, {"versionings": [{"enabled": False}]})],
    "aws-s3-tls-only": [one(BUCKET_V2, {"policy": trust("*")}), one(BUCKET_POLICY, {"bucket": "elsewhere"})],
    "aws-vpc-admin-ports": [
        one(NETWORK_ACL, {"ingress": [numbered("allow", 100)]}),
        one(NETWORK_ACL, {"ingress": [numbered("allow", 100), numbered("deny", 110)]}),
        one(NETWORK_ACL, {"ingress": [numbered("deny", 90, cidrBlock="10.0.0.0/8"), numbered("allow", 100)]}),
        one(DEFAULT_ACL, {"ingress": [numbered("allow", 100, cidrBlock=None, ipv6CidrBlock="::/0")]}),
        one(ACL_RULE, acl_rule()),
    ],
    "aws-vpc-subnet-public-addresses": [one(DEFAULT_SUBNET, {"mapPublicIpOnLaunch": True}), one(DEFAULT_SUBNET)],
    "aws-vpc-flow-log": [
        one(DEFAULT_VPC),
        in_vpc(FLOW_LOG, {"trafficType": "ACCEPT"}),
        one(FLOW_LOG, {"vpcId": "vpc-1", "trafficType": "ACCEPT"}),
    ],
    "aws-vpc-default-security-group": [
        one(DEFAULT_VPC),
        one(DEFAULT_GROUP, {"vpcId": "vpc-1", "ingress": [ssh()]}),
        *(attached(kind, "beside") for kind in (NEW_RULE, EGRESS_RULE)),
        attached(NEW_RULE, "net"),
    ],
    "azure-cosmos-azure-datacenters": [
        *(one(MONGO_RULE, props) for props in (WIDE, ALL_OF_AZURE)),
        one(COSMOS, {"ipRules": [{"ipAddressOrRange": "0.0.0.0/1"}, {"ipAddressOrRange": "128.0.0.0/1"}]}),
    ],
    "azure-postgres-open-firewall": [one(kind, WIDE) for kind in PG_RULES],
    "azure-keyvault-purge-protection": [one(HSM, nested("properties.enablePurgeProtection", False))],
    "azure-keyvault-soft-delete": [one(HSM, nested("properties.enableSoftDelete", False))],
    "azure-keyvault-public-network": [one(HSM, nested("properties.publicNetworkAccess", "Enabled"))],
    "azure-ml-public-network": [
        one(ML_REGISTRY, {"publicNetworkAccess": "Enabled"}),
        one(ONLINE, {"properties": {"publicNetworkAccess": "Enabled"}}),
        one(ML, {"publicNetworkAccess": "Enabled"}),
    ],
    "azure-monitor-diagnostic-settings": [
        logged(workspaceId=None),
        *(one(kind, {"logs": [{"enabled": True}]}) for kind in WIDE_SETTINGS),
        one(DIAGNOSTICS, {"resourceUri": "/elsewhere", "logs": [{"enabled": True}]}),
    ],
    "azure-storage-soft-delete": [
        one(BLOBS, {"accountName": "elsewhere", "deleteRetentionPolicy": {"enabled": False}}),
        [Declared(STORAGE, name="models"), Declared(BLOBS, {"accountName": "elsewhere"}, "blobs")],
    ],
    "azure-network-admin-ports": [
        one(NSG, nested("securityRules[*]", azure_ssh(sourceAddressPrefix="AzureCloud"))),
        one(NSG, nested("securityRules[*]", azure_ssh(sourceAddressPrefix="AzureCloud.westeurope"))),
        one(
            ADMIN_RULE,
            {
                "access": "AlwaysAllow",
                "direction": "Inbound",
                "sources": [{"addressPrefix": "*"}],
                "destinationPortRanges": ["22"],
            },
        ),
    ],
    "k8s-namespace-network-policy": [
        in_namespace(ingress=[{}]),
        in_namespace(ingress=[{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]),
        in_namespace(policyTypes=["Egress"], egress=[{}]),
    ],
    "k8s-network-policy-open": [
        admit({"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": []}),
        admit({"from": [{"podSelector": {}}, {"ipBlock": {"cidr": "::/0"}}], "ports": []}),
        admit({"from": [], "ports": [{"protocol": "TCP", "port": None}]}),
        admit({"from": [], "ports": [{"port": 1, "endPort": 65535}]}),
    ],
    "k8s-service-public-load-balancer": [
        balancer(azure="true", aws="internet-facing"),
        balancer(azure="false", aws="internal"),
    ],
    "k8s-pod-resources": [
        one(POD),
        one(POD, {"spec": {}}),
        pod(),
        pod({}),
        one(POD, {"spec": {"containers": ["main"]}}),
        pod({"name": "main"}, resources={"limits": {"cpu": "1"}}),
    ],
}


def add_further(table: Mapping[str, Cases]) -> dict[str, Cases]:
    """Every control's cases with the further ones. Raises KeyError if a further case belongs to no control."""
    extended = dict(table)
    for control in {**COMPLIANT, **VIOLATING}:
        cases = table[control]
        extended[control] = replace(
            cases,
            compliant=[*cases.compliant, *COMPLIANT.get(control, ())],
            violating=[*cases.violating, *VIOLATING.get(control, ())],
        )
    return extended
