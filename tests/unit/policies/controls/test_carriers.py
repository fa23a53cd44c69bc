"""Which other resources of the clouds have a property that a control judges.

Proves for each property in the violating cases of a control that every type in the installed SDKs which has it, in a
service with controls, is judged by a control of that property, or is in a list here with the reason why not; and that
nothing in the list is left over.
Does not prove anything about services without any control: a run names their resources as judged by nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Final

import pytest

from policies import controls
from policies.engine.type_names import canonical_type
from tests.support.policies.sdk_inputs import has_input, list_types
from tests.unit.policies.controls.test_controls import find_cases

Path = tuple[str, ...]

# What says which resource is meant, where it is, what it is called or what it costs, and nothing of its protection.
IDENTITY: Final = frozenset(
    {
        *("accountName", "addressPrefix", "addressPrefixes", "addressSpace", "bucket", "bucketPrefix", "groupName"),
        *("location", "locationName", "name", "region", "regionName", "resourceUri", "securityGroupId", "subnetName"),
        *("tags", "targetBucket", "vpcId", "scope", "configurationName", "computeType", "subnetId", "subnetIds"),
        *("description", "family", "tier", "user", "users", "version"),
    }
)

# `<type> <property>`, in the patterns of a shell, with the reason why no control of the property judges the type.
REVIEWED: Final[Mapping[str, str]] = {
    "aws:cloudtrail/eventDataStore:EventDataStore kmsKeyId": "is a store for queries; the record is the trail's",
    "aws:cloudwatch/log*Policy:* policyDocument": "masks, indexes or forwards: it names no principal",
    "aws:cloudwatch/logAnomalyDetector:* kmsKeyId": "what it finds is made from logs, whose group has a key",
    "aws:ec2/amiCopy:* kmsKeyId": "is encrypted by its own flag; the service's other images are AWS's",
    "aws:ec2/* type": "is the kind of a gateway or fleet, and no direction",
    "aws:ec2/networkInsightsPath:* protocol": "describes a path that is looked for",
    "aws:ec2/*ubnet*:* cidrBlock": "is a network's own range, and no source",
    "aws:ec2/vpc:Vpc cidrBlock": "is a network's own range, and no source",
    "aws:ec2/vpcIpv4CidrBlockAssociation:* cidrBlock": "is a network's own range, and no source",
    "aws:ec2/trafficMirrorFilterRule:* *": "selects traffic that is copied, and opens nothing",
    "aws:ec2/vpcEndpoint*:* policy": "limits callers from inside of the VPC; AWS's default names everyone",
    "aws:ecr/lifecyclePolicy:* policy": "says which images are deleted",
    "aws:eks/* type": "is the kind of an entry, and no direction",
    "aws:eks/podIdentityAssociation:* policy": "takes permissions from those of the role, and gives none",
    "aws:rds/* kmsKeyId": "whether there is encryption is `storageEncrypted`, which is judged; a copy has its source's",
    "aws:s3/*bject*:* kmsKeyId": "an object has its bucket's encryption, which is judged",
    "aws:s3/directoryBucket:* type": "is the kind of a bucket",
    "aws:s3/filesFileSystem:* kmsKeyId": "has its bucket's encryption, which is judged",
    "aws:secretsmanager/secret:Secret type": "is the kind of a secret",
    "aws:secretsmanager/secretPolicy:* blockPublicPolicy": "has AWS refuse what the policy's control refuses",
    "aws:sns/dataProtectionPolicy:* policy": "masks what messages contain",
    "aws:sns/topicSubscription:* protocol": "is how messages are delivered",
    "aws:vpc/securityGroupEgressRule:* *": "is for outgoing traffic",
    "azure-native:* identity.type": "what needs no identity has none; only AKS takes a password in its place",
    "azure-native:authorization:PimRoleEligibilitySchedule roleDefinitionId": "has to be activated, for some hours",
    "azure-native:authorization:RoleDefinition roleDefinitionId": "is the definition's own name",
    "azure-native:authorization:RoleManagementPolicyAssignment roleDefinitionId": "says how the role is activated",
    "azure-native:authorization:PrivateLinkAssociation *": "is of the management API, which is public",
    "azure-native:containerservice:ManagedCluster publicNetworkAccess": "azure-aks-api-server-access judges the way in",
    "azure-native:cosmosdb:*Role* roleDefinitionId": "is a role of one account's data",
    "azure-native:dbforpostgresql:SingleServer *": "Azure has retired single servers",
    "azure-native:dbforpostgresql:SingleServerConfiguration value": "Azure has retired single servers",
    "azure-native:machinelearningservices:MachineLearningDatastore protocol": "is how a store is read",
    "azure-native:monitor:AzureMonitorWorkspace publicNetworkAccess": "takes metrics, from agents with a token",
    "azure-native:network:DscpConfiguration *": "marks packets",
    "azure-native:network:InboundNatRule protocol": "leads to a machine whose security group is judged",
    "azure-native:network:N*AccessRule direction": "is a perimeter's, of services and no ports",
    "azure-native:network:RouteFilterRule access": "chooses routes",
    "azure-native:network:*UserRule *": "is of a preview that Azure has withdrawn",
    "aws:cloudtrail/eventDataStore:* billingMode": "is how queries are paid for, and no table's",
    "aws:cloudwatch/compositeAlarm:* *": "combines alarms, each of which is judged",
    "aws:cloudwatch/event*:* action": "is an event bus's permission, of one known action",
    "aws:cloudwatch/event*:* forceDestroy": "is for rules that AWS's own services manage, and deletes no data",
    "aws:cloudwatch/internetMonitor:* status": "is a monitor's own switch",
    "aws:cloudwatch/logGroup:LogGroup deletionProtectionEnabled": "Pulumi's own protection and retention keep logs",
    "aws:ec2/defaultNetworkAcl:* egress.*": "is for outgoing traffic",
    "aws:ec2/defaultSecurityGroup:* egress.*": "aws-vpc-default-security-group refuses every rule of it",
    "aws:ec2/* forceDestroy": "ends an instance that is protected, or a VPC that AWS made, and deletes no stored data",
    "aws:ec2/networkAcl:NetworkAcl egress.*": "is for outgoing traffic",
    "aws:ecr/registryScanningConfiguration:* rules": "is of a registry's scans, and no lifecycle",
    "aws:guardduty/* *": "is one feature's switch, a filter or where findings go; the detector is judged",
    "aws:iam/signingCertificate:* status": "has an end of its own, and signs for an API that AWS has retired",
    "aws:iam/sshKey:* status": "is the public half, which nobody can use",
    "aws:iam/user:User forceDestroy": "deletes a user's keys with the user, and no stored data",
    "aws:rds/clusterInstance:* copyTagsToSnapshot": "has no effect: the cluster's, which is judged, counts",
    "aws:rds/clusterInstance:* forceDestroy": "makes a replica a cluster of its own first, and deletes no data",
    "aws:rds/customDbEngineVersion:* status": "is a version's, of an engine that the account brings",
    "aws:rds/globalCluster:* forceDestroy": "takes clusters out of it, each of which is judged",
    "aws:s3/bucketAccelerateConfiguration*:* status": "is of fast uploads",
    "aws:s3/bucketIntelligentTieringConfiguration:* status": "is of tiers of storage",
    "aws:s3/bucketReplicationConfig:* *": "is a copy's, and no expiry's",
    "aws:s3/bucketServerSideEncryptionConfiguration*:* rules": "is of encryption, which has its control, and no expiry",
    "aws:s3/*bject*:* forceDestroy": "deletes versions of one object under a lock",
    "aws:s3control/bucketLifecycleConfiguration:* *": "is of S3 on Outposts",
    "aws:sagemaker/servicecatalogPortfolioStatus:* status": "is whether templates of projects are offered",
    "aws:sagemaker/trainingJob:* enableNetworkIsolation": "a run reports to the tracking server while it trains",
    "aws:ssoadmin/application:* status": "is an application's own switch",
    "azure-native:authorization:*AccessReview* type": "is who reviews, or whose access",
    "azure-native:authorization:PolicyDefinition* mode": "is what kind of resources a policy sees",
    "azure-native:compute:GalleryInVMAccessControlProfileVersion mode": "is of a machine's metadata",
    "azure-native:compute:VirtualMachine*Extension type": "is the kind of an extension",
    "azure-native:containerregistry:ConnectedRegistry mode": "is of a registry on premises",
    "azure-native:containerregistry:ScopeMap actions": "are what a registry's tokens may do, and no receivers",
    "azure-native:containerregistry:Webhook actions": "are events that are sent",
    "azure-native:cosmosdb:*RoleDefinition type": "is whether a role is built in",
    "azure-native:network:* type": "is the kind of a route, subnet, rule or network",
    "azure-native:network:*NatRule mode": "is a gateway's way to translate addresses",
    "azure-native:storage:Blob type": "is the kind of a blob",
}


@cache
def list_judged() -> Mapping[str, Mapping[Path, frozenset[str]]]:
    """By package, the properties of violating cases with the types of the controls whose cases have them."""
    judged: dict[str, dict[Path, set[str]]] = {"aws": {}, "azure-native": {}}
    for control in controls():
        for subject in find_cases(control).violating:
            package = subject[0].type.partition(":")[0]
            for path in leaves(subject[0].props) if package in judged else ():
                judged[package].setdefault(path, set()).update(control.types)
    return {package: {path: frozenset(types) for path, types in paths.items()} for package, paths in judged.items()}


def leaves(value: Any, here: Path = ()) -> Iterator[Path]:
    """The paths to the values in a case's properties, lists left out."""
    if isinstance(value, Mapping) and value and (not here or here[-1] != "tags"):
        for key, each in value.items():
            yield from leaves(each, (*here, key))
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        for each in value:
            yield from leaves(each, here)
    elif here and here[-1] not in IDENTITY:
        yield here


def list_services(package: str) -> set[str]:
    """The modules of the SDK of which a control has types, but for the one that judges policies of any service."""
    everywhere = ("aws-iam-resource-policy-principal", "aws-resources-region", "azure-resources-region")
    types = (type_ for control in controls() if control.id not in everywhere for type_ in control.types)
    return {_find_module(type_) for type_ in types if type_.startswith(f"{package}:")}


def _find_module(type_: str) -> str:
    return type_.split(":")[1].split("/")[0]


def find_gaps(package: str, judged: Mapping[Path, frozenset[str]]) -> set[str]:
    """`<type> <property>` for each judged property of a type that no control of the property judges."""
    services = list_services(package)
    return {
        f"{token} {'.'.join(path)}"
        for token in list_types(package)
        if _find_module(token) in services
        for path, types in judged.items()
        if canonical_type(token) not in types and has_input(token, path)
    }


@cache
def find_all_gaps() -> frozenset[str]:
    return frozenset(gap for package, judged in list_judged().items() for gap in find_gaps(package, judged))


@pytest.mark.slow
def test_each_type_with_a_judged_property_is_judged_or_reviewed() -> None:
    left = {gap for gap in find_all_gaps() if not any(fnmatchcase(gap, pattern) for pattern in REVIEWED)}
    assert left == set(), "add the types to the control, or to REVIEWED with the reason"


@pytest.mark.slow
def test_each_reviewed_pattern_is_needed() -> None:
    gaps = find_all_gaps()
    assert {pattern for pattern in REVIEWED if not any(fnmatchcase(gap, pattern) for gap in gaps)} == set()


def test_a_type_that_a_control_forgets_is_found() -> None:
    path, forgotten = ("publiclyAccessible",), "aws:rds/clusterInstance:ClusterInstance"
    judged: dict[Path, frozenset[str]] = {path: list_judged()["aws"][path] - {forgotten}}
    assert f"{forgotten} publiclyAccessible" in find_gaps("aws", judged)
