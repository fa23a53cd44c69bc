"""The public rules that controls name as references do not require more than the controls.

Proves for rules of critical and high severity that a control which names one reports a resource that the rule rejects.
For similar rules that are stricter, it proves that no control names them, with a resource that the rule rejects and the
control passes. The resources are written from the rules at these commits: bridgecrewio/checkov 03d5fdad,
aquasecurity/trivy-checks 80e53822; for the rules of AWS and CIS, from their titles and descriptions.
Does not prove anything about rules that are in neither list, nor that a control passes everything that a rule passes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from policies import Control, Undecided, controls, get_control
from policies.engine.stack import Resource

Props = Mapping[str, Any]
ACCOUNT: Final = "111122223333"
CLUSTER, TEMPLATE, ROLE = "aws:eks/cluster:Cluster", "aws:ec2/launchTemplate:LaunchTemplate", "aws:iam/role:Role"
POLICY, TRAIL, BUCKET = "aws:iam/policy:Policy", "aws:cloudtrail/trail:Trail", "aws:s3/bucket:Bucket"
GROUP, TABLE, DATABASE = "aws:ec2/securityGroup:SecurityGroup", "aws:dynamodb/table:Table", "aws:rds/instance:Instance"
REPOSITORY = "aws:ecr/repository:Repository"
AKS, VAULT = "azure-native:containerservice:ManagedCluster", "azure-native:keyvault:Vault"
STORAGE, REGISTRY = "azure-native:storage:StorageAccount", "azure-native:containerregistry:Registry"
NSG = "azure-native:network:NetworkSecurityGroup"
POD, RBAC = "kubernetes:core/v1:Pod", "kubernetes:rbac.authorization.k8s.io/v1"


def policy(*, key: str = "policy", **elements: Any) -> Props:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **elements}
    return {key: json.dumps({"Version": "2012-10-17", "Statement": [statement]})}


def trust(principal: Any) -> Props:
    return policy(key="assumeRolePolicy", Action="sts:AssumeRole", Principal=principal)


def open_to_internet(direction: str = "ingress", **ports: Any) -> Props:
    rule = {"protocol": "tcp", "cidrBlocks": ["0.0.0.0/0"], "description": "a", **ports}
    return {"description": "a", direction: [rule]}


def admit(port: str) -> Props:
    rule = {"access": "Allow", "direction": "Inbound", "protocol": "Tcp", "sourceAddressPrefix": "*"}
    return {"securityRules": [{**rule, "destinationPortRange": port}]}


def pod(*, context: Props | None = None, **spec: Any) -> Props:
    return {"spec": {"containers": [{"name": "main", "securityContext": context or {}}], **spec}}


def role(*verbs: str, group: str = "", resource: str) -> Props:
    return {"rules": [{"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}]}


REJECTED: Final[Mapping[str, tuple[str, Props]]] = {
    "CKV_AWS_251": (TRAIL, {"enableLogging": False}),
    "CKV_AWS_67": (TRAIL, {"isMultiRegionTrail": False}),
    "CKV_AWS_36": (TRAIL, {"enableLogFileValidation": False}),
    "CKV_AWS_35": (TRAIL, {}),
    "CKV_AWS_28": (TABLE, {}),
    "CKV_AWS_51": (REPOSITORY, {"imageTagMutability": "MUTABLE"}),
    "CKV_AWS_163": (REPOSITORY, {"imageScanningConfiguration": {"scanOnPush": False}}),
    "CKV_AWS_32": ("aws:ecr/repositoryPolicy:RepositoryPolicy", policy(Principal="*")),
    "CKV_AWS_38": (CLUSTER, {"vpcConfig": {"publicAccessCidrs": ["0.0.0.0/0"]}}),
    "CKV_AWS_58": (CLUSTER, {}),
    "CKV_AWS_79": (TEMPLATE, {"metadataOptions": {"httpTokens": "optional"}}),
    "CKV_AWS_88": ("aws:ec2/instance:Instance", {"associatePublicIpAddress": True}),
    "CKV_AWS_100": ("aws:eks/nodeGroup:NodeGroup", {"remoteAccess": {"ec2SshKey": "key"}}),
    "CKV_AWS_62": (POLICY, policy(Action=["s3:GetObject", "*"], Resource=["arn:aws:s3:::a", "*"])),
    "CKV_AWS_63": (POLICY, policy(Action="*", Resource="arn:aws:s3:::a/*")),
    "CKV_AWS_60": (ROLE, trust({"AWS": ["*"]})),
    "CKV_AWS_393": (
        ROLE,
        trust({"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"}),
    ),
    "CKV_AWS_274": (ROLE, {"managedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"]}),
    "CKV2_AWS_56": (ROLE, {"managedPolicyArns": ["arn:aws:iam::aws:policy/IAMFullAccess"]}),
    "CKV_AWS_33": ("aws:kms/key:Key", policy(Action="kms:*", Principal={"AWS": "*"})),
    "CKV_AWS_169": ("aws:sns/topicPolicy:TopicPolicy", policy(Principal={"AWS": "arn:aws:iam::*:role/sns"})),
    "CKV_AWS_168": ("aws:sqs/queuePolicy:QueuePolicy", policy(Principal={"AWS": "*"})),
    "CKV_AWS_17": (DATABASE, {"publiclyAccessible": True}),
    "CKV_AWS_16": (DATABASE, {}),
    "CKV_AWS_96": ("aws:rds/cluster:Cluster", {}),
    "CKV_AWS_20": (BUCKET, {"acl": "public-read"}),
    "CKV_AWS_57": (BUCKET, {"acl": "public-read-write"}),
    "CKV_AWS_70": ("aws:s3/bucketPolicy:BucketPolicy", policy(Principal="*")),
    "FSBP S3.2": ("aws:s3/bucketPolicy:BucketPolicy", policy(Principal="*")),
    "CKV2_AWS_6": (BUCKET, {}),
    "CKV_AWS_24": (GROUP, open_to_internet(fromPort=22, toPort=22)),
    "CKV_AWS_25": (GROUP, open_to_internet(fromPort=3389, toPort=3389)),
    "CKV_AWS_260": (GROUP, open_to_internet(fromPort=80, toPort=80)),
    "CKV_AWS_277": (GROUP, open_to_internet(protocol="-1", fromPort=0, toPort=0)),
    "FSBP EC2.19": (GROUP, open_to_internet(fromPort=3306, toPort=3306)),
    "CKV_AZURE_5": (AKS, {"enableRBAC": False}),
    "CKV_AZURE_6": (AKS, {"apiServerAccessProfile": {"authorizedIPRanges": []}}),
    "CKV_AZURE_141": (AKS, {"disableLocalAccounts": False}),
    "CKV_AZURE_109": (VAULT, {"properties": {"networkAcls": {"defaultAction": "Allow"}}}),
    "CKV_AZURE_110": (VAULT, {"properties": {}}),
    "CKV_AZURE_3": (STORAGE, {"enableHttpsTrafficOnly": False}),
    "CKV_AZURE_35": (STORAGE, {"networkRuleSet": {"defaultAction": "Allow"}}),
    "CKV_AZURE_137": (REGISTRY, {"adminUserEnabled": True}),
    "CKV_AZURE_10": (NSG, admit("22")),
    "CKV_AZURE_9": (NSG, admit("3380-3390")),
    "CKV_AZURE_160": (NSG, admit("80")),
    "CKV_K8S_16": (POD, pod(context={"privileged": True})),
    "CKV_K8S_17": (POD, pod(hostPID=True)),
    "CKV_K8S_18": (POD, pod(hostIPC=True)),
    "CKV_K8S_19": (POD, pod(hostNetwork=True)),
    "CKV_K8S_20": (POD, pod(context={"allowPrivilegeEscalation": True})),
    "CKV_K8S_23": (POD, pod(context={"runAsUser": 0})),
    "CKV_K8S_27": (POD, pod(volumes=[{"name": "a", "hostPath": {"path": "/var/run/docker.sock"}}])),
    "CKV_K8S_39": (POD, pod(context={"capabilities": {"add": ["SYS_ADMIN"]}})),
    "KSV-0106": (POD, pod(context={"capabilities": {"drop": ["ALL"], "add": ["SYS_TIME"]}})),
    "CKV_K8S_155": (
        f"{RBAC}:ClusterRole",
        role("update", group="admissionregistration.k8s.io", resource="mutatingwebhookconfigurations"),
    ),
    "CKV_K8S_157": (f"{RBAC}:Role", role("bind", group="rbac.authorization.k8s.io", resource="rolebindings")),
    "CKV_K8S_158": (f"{RBAC}:Role", role("escalate", group="rbac.authorization.k8s.io", resource="roles")),
    "KSV-0044": (f"{RBAC}:Role", role("*", group="*", resource="*")),
    "KSV-0053": (f"{RBAC}:Role", role("create", resource="pods/exec")),
}

PUBLIC_BUT_LIMITED: Final = {"vpcConfig": {"publicAccessCidrs": ["203.0.113.0/24"], "endpointPrivateAccess": True}}
LIMITED_AKS: Final = {"apiServerAccessProfile": {"authorizedIPRanges": ["203.0.113.0/24"]}}
SOME_EVENTS: Final = {"isMultiRegionTrail": True, "eventSelectors": [{"readWriteType": "WriteOnly"}]}
AWS_KEY: Final = {"applyServerSideEncryptionByDefaults": [{"sseAlgorithm": "aws:kms"}]}
BIND_SERVICE: Final = pod(context={"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}})
# Stricter rules, each with a similar control and a resource that the rule rejects and the control passes.
STRICTER: Final[Mapping[str, tuple[str, str, Props]]] = {
    "CKV_AWS_39": ("aws-eks-public-endpoint", CLUSTER, PUBLIC_BUT_LIMITED),
    "FSBP EKS.1": ("aws-eks-public-endpoint", CLUSTER, PUBLIC_BUT_LIMITED),
    "AWS-0040": ("aws-eks-public-endpoint", CLUSTER, PUBLIC_BUT_LIMITED),
    "CIS-EKS 5.4.2": ("aws-eks-private-endpoint", CLUSTER, PUBLIC_BUT_LIMITED),
    "CKV_AZURE_115": ("azure-aks-api-server-access", AKS, LIMITED_AKS),
    "CIS-AKS 5.4.2": ("azure-aks-api-server-access", AKS, LIMITED_AKS),
    "CKV_AWS_61": ("aws-iam-trust-principal", ROLE, trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"})),
    # A pair of actions; aws-iam-pass-role reports the first.
    "CKV_AWS_286": ("aws-iam-escalation", POLICY, policy(Action=["iam:PassRole", "ec2:RunInstances"])),
    "AWS-0057": ("aws-iam-administrator", POLICY, policy(Action="s3:Get*")),
    "AWS-0342": ("aws-iam-pass-role", POLICY, policy(Action="iam:PassRole", Resource=f"arn:aws:iam::{ACCOUNT}:role/a")),
    "AWS-0104": ("aws-vpc-open-egress", GROUP, open_to_internet("egress", fromPort=443, toPort=443)),
    "AWS-0033": ("aws-ecr-kms", REPOSITORY, {"encryptionConfigurations": [{"encryptionType": "KMS"}]}),
    "AWS-0132": ("aws-s3-kms", BUCKET, {"serverSideEncryptionConfigurations": [{"rules": [AWS_KEY]}]}),
    "CKV_AWS_3": ("k8s-storage-class-encryption", "aws:ebs/volume:Volume", {"encrypted": False}),
    "CKV_AZURE_93": ("k8s-storage-class-encryption", "azure-native:compute:Disk", {}),
    "CKV_AWS_379": ("aws-s3-tls-only", "aws:s3/bucketAcl:BucketAcl", {"acl": "public-read"}),
    "FSBP RDS.9": (
        "aws-rds-log-exports",
        DATABASE,
        {"engine": "postgres", "enabledCloudwatchLogsExports": ["upgrade"]},
    ),
    "FSBP CloudTrail.1": ("aws-cloudtrail-every-region", TRAIL, SOME_EVENTS),
    "CIS-AWS6 4.1": ("aws-cloudtrail-every-region", TRAIL, SOME_EVENTS),
    "AZU-0047": ("azure-network-internet-ports", NSG, admit("443")),
    "CKV_K8S_40": ("k8s-pod-non-root", POD, pod(context={"runAsNonRoot": True, "runAsUser": 1000})),
    "CKV_K8S_25": ("k8s-pod-added-capabilities", POD, BIND_SERVICE),
    "KSV-0022": ("k8s-pod-added-capabilities", POD, BIND_SERVICE),
    "KSV-0036": ("k8s-pod-token", POD, pod(serviceAccountName="mlflow", automountServiceAccountToken=True)),
    "KSV-0050": (
        "k8s-rbac-escalation",
        f"{RBAC}:Role",
        role("create", group="rbac.authorization.k8s.io", resource="roles"),
    ),
    # Rules about the selectors of policies, and about single pods.
    "KSV-0038": (
        "k8s-namespace-network-policy",
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        {"spec": {"policyTypes": ["Ingress"]}},
    ),
    "CKV2_K8S_6": ("k8s-namespace-network-policy", POD, pod()),
}


def is_reported(control: Control, type_: str, props: Props) -> bool:
    if control.over_stack:
        found = [finding for _, finding in control.evaluate_stack([Resource(type_, "it", "urn:it", props)])]
    else:
        found = control.evaluate_resource(type_, props)
    return any(not isinstance(finding, Undecided) for finding in found)


@pytest.mark.parametrize("rule", REJECTED)
def test_a_resource_that_a_rule_rejects_is_reported_by_a_control_that_names_it(rule: str) -> None:
    type_, props = REJECTED[rule]
    naming = [control for control in controls() if rule in control.references]
    assert naming
    assert any(is_reported(control, type_, props) for control in naming), [control.id for control in naming]


@pytest.mark.parametrize("rule", STRICTER)
def test_no_control_names_a_stricter_rule(rule: str) -> None:
    control, type_, props = STRICTER[rule]
    assert [each.id for each in controls() if rule in each.references] == []
    assert not is_reported(get_control(control), type_, props), f"{control} has become as strict: name {rule} there"
