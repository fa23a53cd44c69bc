"""Other resources of the clouds that have a property which a control evaluates.

Proves for each property in the violating cases of a control that every type in the installed SDKs that has it, in a
service with controls, is evaluated by a control of that property, or is listed here with the reason why not; and that
every entry of the list is needed.
Does not prove anything about services without any control: a run lists their resources as not evaluated.
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

# Properties that identify a resource, its location, name or cost, and do not affect its protection.
IDENTITY: Final = frozenset(
    {
        *("accountName", "addressPrefix", "addressPrefixes", "addressSpace", "bucket", "bucketPrefix", "groupName"),
        *("location", "locationName", "name", "region", "regionName", "resourceUri", "securityGroupId", "subnetName"),
        *("tags", "targetBucket", "vpcId", "scope", "configurationName", "computeType", "subnetId", "subnetIds"),
        *("description", "family", "tier", "user", "users", "version"),
    }
)

# `<type> <property>`, as shell patterns, with the reason why no control of the property evaluates the type.
REVIEWED: Final[Mapping[str, str]] = {
    "aws:cloudtrail/eventDataStore:EventDataStore kmsKeyId": "is a store for queries; the record is the trail's",
    "aws:cloudwatch/log*Policy:* policyDocument": "masks, indexes or forwards: it names no principal",
    "aws:cloudwatch/logAnomalyDetector:* kmsKeyId": "its findings come from logs, whose group has a key",
    "aws:ec2/amiCopy:* kmsKeyId": "is encrypted by its own flag; the service's other images are AWS's",
    "aws:ec2/* type": "is the kind of a gateway or fleet, not a direction",
    "aws:ec2/networkInsightsPath:* protocol": "describes a path that is looked for",
    "aws:ec2/*ubnet*:* cidrBlock": "is a network's own range, not a source",
    "aws:ec2/vpc:Vpc cidrBlock": "is a network's own range, not a source",
    "aws:ec2/vpcIpv4CidrBlockAssociation:* cidrBlock": "is a network's own range, not a source",
    "aws:ec2/trafficMirrorFilterRule:* *": "selects traffic that is copied, and opens nothing",
    "aws:ec2/vpcEndpoint*:* policy": "limits callers from inside of the VPC; AWS's default names everyone",
    "aws:ecr/lifecyclePolicy:* policy": "says which images are deleted",
    "aws:eks/* type": "is the kind of an entry, not a direction",
    "aws:eks/podIdentityAssociation:* policy": "removes permissions from those of the role, and grants none",
    "aws:rds/cluster:Cluster allocatedStorage": "RDS does not enlarge the storage of a Multi-AZ cluster",
    "aws:rds/* kmsKeyId": "`storageEncrypted`, which is evaluated, decides on encryption; a copy inherits its source's",
    "aws:s3/*bject*:* kmsKeyId": "an object has its bucket's encryption, which is evaluated",
    "aws:s3/directoryBucket:* type": "is the kind of a bucket",
    "aws:s3/filesFileSystem:* kmsKeyId": "has its bucket's encryption, which is evaluated",
    "aws:secretsmanager/secret:Secret type": "is the kind of a secret",
    "aws:secretsmanager/secretPolicy:* blockPublicPolicy": "makes AWS reject the same policies as the control does",
    "aws:sns/dataProtectionPolicy:* policy": "masks the content of messages",
    "aws:sns/topicSubscription:* protocol": "is how messages are delivered",
    "aws:vpc/securityGroupEgressRule:* *": "is for outgoing traffic",
    "azure-native:* identity.type": "resources that need no identity have none; only AKS uses a password instead",
    "azure-native:authorization:PimRoleEligibilitySchedule roleDefinitionId": "has to be activated, for some hours",
    "azure-native:authorization:RoleDefinition roleDefinitionId": "is the definition's own name",
    "azure-native:authorization:RoleManagementPolicyAssignment roleDefinitionId": "says how the role is activated",
    "azure-native:authorization:PrivateLinkAssociation *": "belongs to the management API, which is public",
    "azure-native:containerservice:ManagedCluster publicNetworkAccess": "is evaluated by azure-aks-api-server-access",
    "azure-native:cosmosdb:*Role* roleDefinitionId": "is a role of one account's data",
    "azure-native:dbforpostgresql:SingleServer *": "Azure has retired single servers",
    "azure-native:dbforpostgresql:SingleServerConfiguration value": "Azure has retired single servers",
    "azure-native:machinelearningservices:MachineLearningDatastore protocol": "is how a store is read",
    "azure-native:monitor:AzureMonitorWorkspace publicNetworkAccess": "accepts metrics only from agents with a token",
    "azure-native:network:DscpConfiguration *": "marks packets",
    "azure-native:network:InboundNatRule protocol": "leads to a machine whose security group is evaluated",
    "azure-native:network:N*AccessRule direction": "belongs to a perimeter, which is for services, not ports",
    "azure-native:network:RouteFilterRule access": "chooses routes",
    "azure-native:network:*UserRule *": "belongs to a preview that Azure has withdrawn",
    "aws:cloudtrail/eventDataStore:* billingMode": "is the billing of queries, not of a table",
    "aws:cloudwatch/compositeAlarm:* *": "combines alarms, each of which is evaluated",
    "aws:cloudwatch/event*:* action": "is a permission on an event bus, for one known action",
    "aws:cloudwatch/event*:* forceDestroy": "is for rules that AWS's own services manage, and deletes no data",
    "aws:cloudwatch/internetMonitor:* status": "is a monitor's own switch",
    "aws:cloudwatch/logGroup:LogGroup deletionProtectionEnabled": "Pulumi's own protection and retention keep logs",
    "aws:ec2/defaultNetworkAcl:* egress.*": "is for outgoing traffic",
    "aws:ec2/defaultSecurityGroup:* egress.*": "aws-vpc-default-security-group rejects every rule of it",
    "aws:ec2/* forceDestroy": "terminates a protected instance, or deletes a default VPC; no stored data is lost",
    "aws:ec2/networkAcl:NetworkAcl egress.*": "is for outgoing traffic",
    "aws:ecr/registryScanningConfiguration:* rules": "is for scans of a registry, not a lifecycle",
    "aws:guardduty/* *": "is a switch of one feature, a filter or a destination of findings; the detector is evaluated",
    "aws:iam/signingCertificate:* status": "has its own expiry date, and signs for an API that AWS has retired",
    "aws:iam/sshKey:* status": "is the public half, which nobody can use",
    "aws:iam/user:User forceDestroy": "deletes a user's keys with the user, and no stored data",
    "aws:rds/clusterInstance:* copyTagsToSnapshot": "has no effect: the cluster's value applies, which is evaluated",
    "aws:rds/clusterInstance:* forceDestroy": "turns a replica into a separate cluster first, and deletes no data",
    "aws:rds/customDbEngineVersion:* status": "belongs to a version of an engine that the account provides",
    "aws:rds/globalCluster:* forceDestroy": "removes clusters from it, each of which is evaluated",
    "aws:s3/bucketAccelerateConfiguration*:* status": "is for fast uploads",
    "aws:s3/bucketIntelligentTieringConfiguration:* status": "is for tiers of storage",
    "aws:s3/bucketReplicationConfig:* *": "is for replication, not for expiry",
    "aws:s3/bucketServerSideEncryptionConfiguration*:* rules": "is for encryption, which has its own control",
    "aws:s3/*bject*:* forceDestroy": "deletes versions of one object under a lock",
    "aws:s3control/bucketLifecycleConfiguration:* *": "is for S3 on Outposts",
    "aws:sagemaker/servicecatalogPortfolioStatus:* status": "is whether project templates are offered",
    "aws:sagemaker/trainingJob:* enableNetworkIsolation": "a run reports to the tracking server while it trains",
    "aws:ssoadmin/application:* status": "is an application's own switch",
    "azure-native:authorization:*AccessReview* type": "is the kind of the reviewer, or of the reviewed principal",
    "azure-native:authorization:PolicyDefinition* mode": "is the kind of resources that a policy evaluates",
    "azure-native:compute:GalleryInVMAccessControlProfileVersion mode": "is for a machine's metadata",
    "azure-native:compute:VirtualMachine*Extension type": "is the kind of an extension",
    "azure-native:containerregistry:ConnectedRegistry mode": "belongs to a registry on premises",
    "azure-native:containerregistry:ScopeMap actions": "are permissions of a registry's tokens, not receivers",
    "azure-native:containerregistry:Webhook actions": "are events that are sent",
    "azure-native:cosmosdb:*RoleDefinition type": "is whether a role is built in",
    "azure-native:network:* type": "is the kind of a route, subnet, rule or network",
    "azure-native:network:*NatRule mode": "is a gateway's way to translate addresses",
    "azure-native:storage:Blob type": "is the kind of a blob",
}


@cache
def list_evaluated() -> Mapping[str, Mapping[Path, frozenset[str]]]:
    """Per package, the properties of violating cases with the types of the controls whose cases have them."""
    evaluated: dict[str, dict[Path, set[str]]] = {"aws": {}, "azure-native": {}}
    for control in controls():
        for subject in find_cases(control).violating:
            package = subject[0].type.partition(":")[0]
            for path in leaves(subject[0].props) if package in evaluated else ():
                evaluated[package].setdefault(path, set()).update(control.types)
    return {package: {path: frozenset(types) for path, types in paths.items()} for package, paths in evaluated.items()}


def leaves(value: Any, here: Path = ()) -> Iterator[Path]:
    """The paths to the values in a case's properties, without indices of lists."""
    if isinstance(value, Mapping) and value and (not here or here[-1] != "tags"):
        for key, each in value.items():
            yield from leaves(each, (*here, key))
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        for each in value:
            yield from leaves(each, here)
    elif here and here[-1] not in IDENTITY:
        yield here


def list_services(package: str) -> set[str]:
    """The modules of the SDK that controls have types of, except for controls that evaluate any service."""
    everywhere = ("aws-iam-resource-policy-principal", "aws-resources-region", "azure-resources-region")
    types = (type_ for control in controls() if control.id not in everywhere for type_ in control.types)
    return {_find_module(type_) for type_ in types if type_.startswith(f"{package}:")}


def _find_module(type_: str) -> str:
    return type_.split(":")[1].split("/")[0]


def find_gaps(package: str, evaluated: Mapping[Path, frozenset[str]]) -> set[str]:
    """`<type> <property>` for each evaluated property of a type that no control of the property evaluates."""
    services = list_services(package)
    return {
        f"{token} {'.'.join(path)}"
        for token in list_types(package)
        if _find_module(token) in services
        for path, types in evaluated.items()
        if canonical_type(token) not in types and has_input(token, path)
    }


@cache
def find_all_gaps() -> frozenset[str]:
    return frozenset(gap for package, evaluated in list_evaluated().items() for gap in find_gaps(package, evaluated))


@pytest.mark.slow
def test_each_type_with_an_evaluated_property_is_evaluated_or_reviewed() -> None:
    left = {gap for gap in find_all_gaps() if not any(fnmatchcase(gap, pattern) for pattern in REVIEWED)}
    assert left == set(), "add the types to the control, or to REVIEWED with the reason"


@pytest.mark.slow
def test_each_reviewed_pattern_is_needed() -> None:
    gaps = find_all_gaps()
    assert {pattern for pattern in REVIEWED if not any(fnmatchcase(gap, pattern) for gap in gaps)} == set()


def test_a_type_that_a_control_forgets_is_found() -> None:
    path, forgotten = ("publiclyAccessible",), "aws:rds/clusterInstance:ClusterInstance"
    evaluated: dict[Path, frozenset[str]] = {path: list_evaluated()["aws"][path] - {forgotten}}
    assert f"{forgotten} publiclyAccessible" in find_gaps("aws", evaluated)
