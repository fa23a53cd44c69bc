"""Cases of AWS networks beyond SSH and RDP, and of an account's users, keys and detection."""

from typing import Any

from tests.support.policies.aws_account_cases import (
    DEFAULT_GROUP,
    EGRESS_RULE,
    GROUP,
    LAKE,
    NEW_RULE,
    OLD_RULE,
    PROFILE,
    TRAIL,
    VPC,
)
from tests.support.policies.aws_cases import ALIAS, ARN, KEY, KEY_POLICY, OTHER_KEYS, allow
from tests.support.policies.cases import (
    UNKNOWN_TEXT,
    Cases,
    Declared,
    Subject,
    nested,
    property_cases,
    resource_cases,
)

DEFAULT_VPC = "aws:ec2/defaultVpc:DefaultVpc"
PREFIXES = "aws:ec2/managedPrefixList:ManagedPrefixList"
ACL, ACL_RULE = "aws:ec2/networkAcl:NetworkAcl", "aws:ec2/networkAclRule:NetworkAclRule"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
PASSWORDS, ACCESS_KEY = "aws:iam/accountPasswordPolicy:AccountPasswordPolicy", "aws:iam/accessKey:AccessKey"
SERVICE_CREDENTIAL = "aws:iam/serviceSpecificCredential:ServiceSpecificCredential"
USER, USER_POLICY = "aws:iam/user:User", "aws:iam/userPolicy:UserPolicy"
USER_ATTACHMENT = "aws:iam/userPolicyAttachment:UserPolicyAttachment"
ATTACHMENT = "aws:iam/policyAttachment:PolicyAttachment"
DETECTOR, FEATURE = "aws:guardduty/detector:Detector", "aws:guardduty/detectorFeature:DetectorFeature"
GUARD_FILTER = "aws:guardduty/filter:Filter"


def rule(**changes: Any) -> dict[str, Any]:
    """A rule that opens PostgreSQL to the whole Internet, or a variation of it."""
    all_from = {"protocol": "tcp", "fromPort": 5432, "toPort": 5432, "cidrBlocks": ["0.0.0.0/0"]}
    return {"description": "PostgreSQL", **all_from, **changes}


def everything(**changes: Any) -> dict[str, Any]:
    return rule(protocol="-1", fromPort=0, toPort=0, **changes)


def endpoints(*services: object) -> Subject:
    declared = [
        Declared(ENDPOINT, {"vpcId": UNKNOWN_TEXT, "serviceName": name}, f"endpoint-{number}", {"vpcId": "net"})
        for number, name in enumerate(services)
    ]
    return [Declared(VPC, name="net"), *declared]


def in_region(*services: str) -> tuple[str, ...]:
    return tuple(f"com.amazonaws.eu-west-1.{service}" for service in services)


def acl_rule(**changes: Any) -> dict[str, Any]:
    return {"action": "allow", "protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlock": "0.0.0.0/0", **changes}


def feature(name: str, status: object = "ENABLED") -> Subject:
    props = {"detectorId": UNKNOWN_TEXT, "name": name, "status": status}
    return [Declared(DETECTOR, name="it"), Declared(FEATURE, props, "feature", {"detectorId": "it"})]


def detected(name: str, other: str, older: str) -> Cases:
    """Cases for a feature of GuardDuty, with the older property that is equivalent."""
    good = [
        feature(name),
        [
            Declared(DETECTOR, {"arn": "arn:d1"}),
            Declared(FEATURE, {"detectorId": "arn:d1", "name": name, "status": "ENABLED"}, "feature"),
        ],
    ]
    return Cases(
        compliant=[*good, *([[Declared(DETECTOR, nested(older, True))]] if older else [])],
        violating=[[Declared(DETECTOR)], feature(name, "DISABLED"), feature(other)],
        absent=("fails", feature(name, None)),
        unknown=("undecided", feature(name, UNKNOWN_TEXT)),
        other_type=[Declared(GUARD_FILTER)],
    )


def kms_policy(policy: object) -> Subject:
    return [
        Declared(KEY, name="key"),
        Declared(KEY_POLICY, {"keyId": UNKNOWN_TEXT, "policy": policy}, "policy", {"keyId": "key"}),
    ]


CASES: dict[str, Cases] = {
    "aws-vpc-internet-ports": resource_cases(
        GROUP,
        good=[
            {"ingress": [rule(cidrBlocks=["10.0.0.0/8"])]},
            {"ingress": [rule(fromPort=443, toPort=443)]},
        ],
        bad=[
            {"ingress": [rule()]},
            {"ingress": [rule(fromPort=80, toPort=80)]},
            {"ingress": [rule(fromPort=8000, toPort=8443, cidrBlocks=[], ipv6CidrBlocks=["::/0"])]},
        ],
        absent=("passes", {}),
        unknown=("undecided", {"ingress": [rule(cidrBlocks=[UNKNOWN_TEXT])]}),
        other=PREFIXES,
        more_good=[[Declared(OLD_RULE, rule(type="egress"))]],
        more_bad=[
            [Declared(DEFAULT_GROUP, {"ingress": [rule()]})],
            [Declared(OLD_RULE, rule(type="ingress"))],
            [Declared(NEW_RULE, {"ipProtocol": "tcp", "fromPort": 5432, "toPort": 5432, "cidrIpv4": "0.0.0.0/0"})],
        ],
        also_undecided=[[Declared(GROUP, {"ingress": [rule(fromPort=UNKNOWN_TEXT)]})]],
    ),
    "aws-vpc-open-egress": resource_cases(
        GROUP,
        good=[{"egress": [rule()]}, {"egress": [everything(cidrBlocks=["10.0.0.0/8"])]}],
        bad=[{"egress": [everything()]}, {"egress": [everything(cidrBlocks=[], ipv6CidrBlocks=["::/0"])]}],
        absent=("passes", {}),
        unknown=("undecided", {"egress": [rule(protocol=UNKNOWN_TEXT)]}),
        other=PREFIXES,
        more_good=[[Declared(OLD_RULE, everything(type="ingress"))]],
        more_bad=[
            [Declared(OLD_RULE, everything(type="egress"))],
            [Declared(EGRESS_RULE, {"ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"})],
        ],
    ),
    "aws-vpc-group-description": resource_cases(
        GROUP,
        good=[{"description": "API server", "ingress": [{"description": "HTTPS"}]}],
        bad=[
            {"description": "Managed by Pulumi"},
            {"description": "API server", "ingress": [{"description": ""}]},
            {"description": "API server", "egress": [{"description": ""}]},
        ],
        absent=("fails", {}),
        unknown=("undecided", {"description": UNKNOWN_TEXT}),
        other=PREFIXES,
        more_good=[[Declared(NEW_RULE, {"description": "HTTPS"})]],
        more_bad=[[Declared(kind, {"description": ""})] for kind in (OLD_RULE, NEW_RULE, EGRESS_RULE)],
    ),
    "aws-vpc-network-acl": resource_cases(
        ACL,
        good=[
            {"ingress": [acl_rule(cidrBlock="10.0.0.0/8")]},
            {"ingress": [acl_rule(action="deny")]},
            {"ingress": [acl_rule(fromPort=443, toPort=443)]},
        ],
        bad=[
            {"ingress": [acl_rule()]},
            {"ingress": [acl_rule(fromPort=3389, toPort=3389, cidrBlock="", ipv6CidrBlock="::/0")]},
            {"ingress": [acl_rule(protocol="-1", fromPort=0, toPort=0)]},
        ],
        absent=("passes", {}),
        unknown=("undecided", {"ingress": [acl_rule(cidrBlock=UNKNOWN_TEXT)]}),
        other=PREFIXES,
        more_good=[[Declared(ACL_RULE, {**acl_rule(), "action": None, "ruleAction": "allow", "egress": True})]],
        more_bad=[[Declared(ACL_RULE, {**acl_rule(), "action": None, "ruleAction": "allow", "egress": False})]],
        also_undecided=[[Declared(ACL, {"ingress": [acl_rule(fromPort=UNKNOWN_TEXT)]})]],
    ),
    "aws-vpc-endpoints": Cases(
        compliant=[endpoints(*in_region("ecr.api", "ecr.dkr", "s3", "sts", "logs"))],
        violating=[endpoints(*in_region("ecr.api", "ecr.dkr", "s3")), endpoints()],
        absent=("fails", [Declared(VPC)]),
        unknown=("undecided", endpoints(*in_region("ecr.api", "ecr.dkr", "s3"), UNKNOWN_TEXT)),
        other_type=[Declared(DEFAULT_VPC)],
    ),
    "aws-iam-password-length": property_cases(
        PASSWORDS, "minimumPasswordLength", good=(14, 20), bad=(8,), absent="fails", other=PROFILE
    ),
    "aws-iam-password-reuse": property_cases(
        PASSWORDS, "passwordReusePrevention", good=(24,), bad=(5,), absent="fails", other=PROFILE
    ),
    "aws-iam-access-key": resource_cases(
        ACCESS_KEY,
        good=[{"status": "Inactive"}],
        bad=[{"status": "Active"}],
        absent=("fails", {}),
        unknown=("undecided", {"status": UNKNOWN_TEXT}),
        other=USER,
        more_good=[[Declared(SERVICE_CREDENTIAL, {"credentialAgeDays": 30})]],
        more_bad=[[Declared(SERVICE_CREDENTIAL, {"status": "Active", "credentialAgeDays": 0})]],
    ),
    "aws-iam-user-policy": resource_cases(
        ATTACHMENT,
        good=[{"roles": ["models"], "users": []}, {"users": [None]}],
        bad=[{"roles": ["models"], "users": ["ada"]}],
        absent=("passes", {}),
        unknown=("undecided", {"users": UNKNOWN_TEXT}),
        other=PROFILE,
        more_bad=[
            [Declared(USER_POLICY, {"user": "ada", "policy": allow("s3:GetObject", ARN)})],
            [Declared(USER_ATTACHMENT, {"user": UNKNOWN_TEXT})],
        ],
    ),
    "aws-kms-deletion-window": property_cases(
        (KEY, *OTHER_KEYS), "deletionWindowInDays", good=(14, 30), bad=(7,), absent="passes", other=ALIAS
    ),
    "aws-kms-lockout-check": property_cases(
        (KEY, *OTHER_KEYS, KEY_POLICY),
        "bypassPolicyLockoutSafetyCheck",
        good=(False,),
        bad=(True,),
        absent="passes",
        other=ALIAS,
    ),
    "aws-kms-policy": Cases(
        compliant=[
            [Declared(KEY, {"policy": allow("kms:*")})],
            [Declared(KEY, {"policy": UNKNOWN_TEXT})],
            kms_policy(allow("kms:*")),
            [Declared(OTHER_KEYS[0], {"policy": allow("kms:*")})],
        ],
        violating=[*([Declared(kind)] for kind in (KEY, *OTHER_KEYS)), [Declared(KEY, {"policy": ""})], kms_policy("")],
        absent=("fails", kms_policy(None)),
        unknown=("undecided", [Declared(KEY), Declared(KEY_POLICY, {"keyId": UNKNOWN_TEXT}, "policy")]),
        other_type=[Declared(ALIAS)],
    ),
    "aws-guardduty-enabled": property_cases(
        DETECTOR, "enable", good=(True,), bad=(False,), absent="passes", other=GUARD_FILTER
    ),
    "aws-guardduty-eks-audit-logs": detected(
        "EKS_AUDIT_LOGS", "S3_DATA_EVENTS", "datasources.kubernetes.auditLogs.enable"
    ),
    "aws-guardduty-s3": detected("S3_DATA_EVENTS", "EKS_AUDIT_LOGS", "datasources.s3Logs.enable"),
    "aws-guardduty-runtime": detected("RUNTIME_MONITORING", "S3_DATA_EVENTS", ""),
    "aws-cloudtrail-log-group": property_cases(
        TRAIL, "cloudWatchLogsGroupArn", good=(f"{ARN}:*",), bad=("",), absent="fails", unknown="passes", other=LAKE
    ),
}
