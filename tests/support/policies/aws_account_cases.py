"""The five cases of every control on an AWS account: identities, network, trail."""

from typing import Any

from tests.support.policies.aws_cases import ARN, allow, document, trust
from tests.support.policies.cases import UNKNOWN_TEXT, Cases, Declared, Subject, property_cases, resource_cases

POLICY, ROLE_POLICY = "aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy"
USER_POLICY, GROUP_POLICY = "aws:iam/userPolicy:UserPolicy", "aws:iam/groupPolicy:GroupPolicy"
ROLE, PROFILE = "aws:iam/role:Role", "aws:iam/instanceProfile:InstanceProfile"
ATTACHMENTS = tuple(
    f"aws:iam/{name[0].lower()}{name[1:]}:{name}"
    for name in ("RolePolicyAttachment", "UserPolicyAttachment", "GroupPolicyAttachment", "PolicyAttachment")
)
GROUP, DEFAULT_GROUP = (
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
)
OLD_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
NEW_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS_RULE = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
VPC, SUBNET = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"
TRAIL, LAKE = "aws:cloudtrail/trail:Trail", "aws:cloudtrail/eventDataStore:EventDataStore"
OIDC = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"


def federated(*conditions: tuple[str, Any]) -> str:
    tests = {f"{OIDC}:{claim}": value for claim, value in conditions}
    return trust({"Federated": f"arn:aws:iam::111122223333:oidc-provider/{OIDC}"}, Condition={"StringLike": tests})


def inline(policy: object) -> dict[str, Any]:
    return {"inlinePolicies": [{"name": "more", "policy": policy}]}


def identity_policy(good: tuple[str, ...], bad: tuple[str, ...]) -> Cases:
    """Cases for the controls that read the permissions of an identity."""
    cases = property_cases(
        (POLICY, ROLE_POLICY, USER_POLICY, GROUP_POLICY),
        "policy",
        good=good,
        bad=bad,
        absent="passes",
        other=PROFILE,
    )
    in_roles = [[Declared(ROLE, inline(policy))] for policy in bad]
    return Cases(cases.compliant, [*cases.violating, *in_roles], cases.absent, cases.unknown, cases.other_type)


def ssh(**changes: Any) -> dict[str, Any]:
    return {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["0.0.0.0/0"], **changes}


def in_vpc(kind: str, props: dict[str, Any]) -> Subject:
    return [Declared(VPC, name="net"), Declared(kind, {"vpcId": UNKNOWN_TEXT, **props}, "beside", {"vpcId": "net"})]


CASES: dict[str, Cases] = {
    "aws-iam-administrator": identity_policy(
        good=(allow("s3:GetObject"), allow("*", ARN), document({"Effect": "Deny", "Action": "*", "Resource": "*"})),
        bad=(
            "not JSON",
            allow("*"),
            allow(["s3:GetObject", "*:*"], ["*"]),
            document({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
        ),
    ),
    "aws-iam-service-wildcard": identity_policy(
        good=(allow("s3:Get*", ARN),), bad=(allow(["ec2:DescribeVpcs", "s3:*"], ARN),)
    ),
    "aws-iam-pass-role": identity_policy(
        good=(allow("iam:PassRole", "arn:aws:iam::111122223333:role/node"), allow("iam:GetRole")),
        bad=(allow("iam:PassRole"), allow(["iam:GetRole", "iam:Pass*"]), allow("iam:*")),
    ),
    "aws-iam-trust-principal": property_cases(
        ROLE,
        "assumeRolePolicy",
        good=(trust({"Service": "pods.eks.amazonaws.com"}), trust({"AWS": "arn:aws:iam::111122223333:root"})),
        bad=(trust("*"), trust({"AWS": "*"})),
        absent="passes",
        other=PROFILE,
    ),
    "aws-iam-oidc-trust": property_cases(
        ROLE,
        "assumeRolePolicy",
        good=(
            federated(("aud", "sts.amazonaws.com"), ("sub", "system:serviceaccount:mlflow:mlflow")),
            trust({"Service": "ec2.amazonaws.com"}),
        ),
        bad=(
            federated(),
            federated(("aud", "sts.amazonaws.com")),
            federated(("aud", "sts.amazonaws.com"), ("sub", ["system:serviceaccount:mlflow:mlflow", "*"])),
        ),
        absent="passes",
        other=PROFILE,
    ),
    "aws-iam-administrator-attached": resource_cases(
        ROLE,
        good=[{"managedPolicyArns": ["arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"]}],
        bad=[{"managedPolicyArns": [UNKNOWN_TEXT, "arn:aws:iam::aws:policy/AdministratorAccess"]}],
        absent=("passes", {}),
        unknown=("undecided", {"managedPolicyArns": [UNKNOWN_TEXT]}),
        other=PROFILE,
        more_bad=[
            [Declared(kind, {"policyArn": f"arn:aws:iam::aws:policy/{name}"})]
            for kind in ATTACHMENTS
            for name in ("AdministratorAccess", "IAMFullAccess", "PowerUserAccess")
        ],
    ),
    "aws-vpc-admin-ports": resource_cases(
        GROUP,
        good=[
            {"ingress": [ssh(cidrBlocks=["10.0.0.0/8"])]},
            {"ingress": [ssh(fromPort=443, toPort=443, cidrBlocks=[UNKNOWN_TEXT])]},
            {"ingress": []},
        ],
        bad=[
            {"ingress": [ssh()]},
            {"ingress": [ssh(fromPort=0, toPort=65535)]},
            {"ingress": [ssh(protocol="-1", fromPort=0, toPort=0)]},
            {"ingress": [ssh(protocol="all", fromPort=0, toPort=0)]},
            {"ingress": [UNKNOWN_TEXT, ssh(fromPort=3389, toPort=3389, cidrBlocks=[], ipv6CidrBlocks=["::/0"])]},
        ],
        absent=("passes", {}),
        unknown=("undecided", {"ingress": [ssh(cidrBlocks=[UNKNOWN_TEXT])]}),
        other=EGRESS_RULE,
        more_good=[[Declared(OLD_RULE, ssh(type="egress"))]],
        also_undecided=[
            [Declared(GROUP, {"ingress": UNKNOWN_TEXT})],
            [Declared(GROUP, {"ingress": [ssh(protocol=UNKNOWN_TEXT, fromPort=443, toPort=443)]})],
            [Declared(OLD_RULE, ssh(type=UNKNOWN_TEXT))],
        ],
        more_bad=[
            [Declared(DEFAULT_GROUP, {"ingress": [ssh()]})],
            [Declared(OLD_RULE, ssh(type="ingress"))],
            [Declared(NEW_RULE, {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "cidrIpv4": "0.0.0.0/0"})],
            [Declared(NEW_RULE, {"ipProtocol": "-1", "cidrIpv6": "::/0"})],
        ],
    ),
    "aws-vpc-subnet-public-addresses": resource_cases(
        SUBNET,
        good=[
            {"vpcId": "vpc-1", "mapPublicIpOnLaunch": False},
            {"vpcId": "vpc-1", "mapPublicIpOnLaunch": True, "tags": {"kubernetes.io/role/elb": "1"}},
        ],
        bad=[
            {"vpcId": "vpc-1", "mapPublicIpOnLaunch": True, "tags": {"kubernetes.io/role/internal-elb": "1"}},
        ],
        absent=("passes", {"vpcId": "vpc-1"}),
        unknown=("undecided", {"vpcId": "vpc-1", "mapPublicIpOnLaunch": UNKNOWN_TEXT}),
        other=VPC,
    ),
    "aws-vpc-flow-log": Cases(
        compliant=[in_vpc(FLOW_LOG, {})],
        violating=[[Declared(VPC)], [Declared(VPC, name="second"), *in_vpc(FLOW_LOG, {})]],
        absent=("fails", [Declared(VPC), Declared(FLOW_LOG, {"subnetId": "subnet-1"}, "of-a-subnet")]),
        unknown=("undecided", [Declared(VPC), Declared(FLOW_LOG, {"vpcId": UNKNOWN_TEXT}, "of-some-vpc")]),
        other_type=[Declared(SUBNET)],
    ),
    "aws-vpc-default-security-group": Cases(
        compliant=[in_vpc(DEFAULT_GROUP, {}), in_vpc(DEFAULT_GROUP, {"ingress": [], "egress": []})],
        violating=[in_vpc(DEFAULT_GROUP, {"egress": [ssh()]}), in_vpc(DEFAULT_GROUP, {"ingress": [ssh()]})],
        absent=("fails", [Declared(VPC)]),
        unknown=("undecided", in_vpc(DEFAULT_GROUP, {"ingress": UNKNOWN_TEXT})),
        other_type=[Declared(SUBNET)],
    ),
    "aws-cloudtrail-logging": property_cases(
        TRAIL, "enableLogging", good=(True,), bad=(False,), absent="passes", other=LAKE
    ),
    "aws-cloudtrail-every-region": property_cases(
        TRAIL, "isMultiRegionTrail", good=(True,), bad=(False,), absent="fails", other=LAKE
    ),
    "aws-cloudtrail-validation": property_cases(
        TRAIL, "enableLogFileValidation", good=(True,), bad=(False,), absent="fails", other=LAKE
    ),
    "aws-cloudtrail-kms": property_cases(
        TRAIL, "kmsKeyId", good=(ARN,), bad=("", "alias/aws/s3"), absent="fails", unknown="passes", other=LAKE
    ),
}
