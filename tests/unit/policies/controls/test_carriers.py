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


def test_each_type_with_a_judged_property_is_judged_or_reviewed() -> None:
    left = {gap for gap in find_all_gaps() if not any(fnmatchcase(gap, pattern) for pattern in REVIEWED)}
    assert left == set(), "add the types to the control, or to REVIEWED with the reason"


def test_each_reviewed_pattern_is_needed() -> None:
    gaps = find_all_gaps()
    assert {pattern for pattern in REVIEWED if not any(fnmatchcase(gap, pattern) for gap in gaps)} == set()


def test_a_type_that_a_control_forgets_is_found() -> None:
    path, forgotten = ("publiclyAccessible",), "aws:rds/clusterInstance:ClusterInstance"
    judged: dict[Path, frozenset[str]] = {path: list_judged()["aws"][path] - {forgotten}}
    assert f"{forgotten} publiclyAccessible" in find_gaps("aws", judged)
