"""AWS policies are evaluated by their meaning, not by their spelling.

Proves for each control over statements that different spellings of the same grant have the same result: wildcards
within words, ARNs of wildcards, NotAction and NotPrincipal, and conditions that hold for everybody or without their
key. Each rejected statement is next to a similar one that is narrow enough to pass.
Does not prove that AWS evaluates conditions as its documentation says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from kernel.values import UNKNOWN
from policies import controls
from policies.engine.findings import Undecided
from policies.engine.stack import Resource

CONTROLS = {control.id: control for control in controls()}
ACCOUNT = "111122223333"
GITHUB = "token.actions.githubusercontent.com"
EKS = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"


def evaluate(control: str, property_: str, statement: Mapping[str, Any]) -> str:
    document = {"Version": "2012-10-17", "Statement": [statement]}
    unknown = "UNKNOWN" in repr(statement)
    findings = CONTROLS[control].evaluate({property_: document if unknown else json.dumps(document)})
    if not findings:
        return "passes"
    return "undecided" if all(isinstance(finding, Undecided) for finding in findings) else "fails"


def grant(action: Any = "s3:GetObject", resource: Any = "*", **elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **elements}


@pytest.mark.parametrize(
    ("control", "statement", "outcome"),
    [
        ("aws-iam-administrator", grant("*"), "fails"),
        ("aws-iam-administrator", grant("**", "arn:aws:*:*:*:*"), "fails"),
        ("aws-iam-administrator", grant(["*:*"], ["arn:*"]), "fails"),
        ("aws-iam-administrator", grant("?*", f"arn:aws:*:*:{ACCOUNT}:*"), "fails"),
        ("aws-iam-administrator", {"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::a"}, "fails"),
        ("aws-iam-administrator", {"Effect": "Allow", "NotAction": "*", "Resource": "*"}, "passes"),
        ("aws-iam-administrator", grant("*", "arn:aws:s3:::models/*"), "passes"),
        ("aws-iam-administrator", grant("*", UNKNOWN), "undecided"),
        ("aws-iam-administrator", grant("s3:GetObject", UNKNOWN), "passes"),
        ("aws-iam-service-wildcard", grant("*", "arn:aws:s3:::models/*"), "fails"),
        ("aws-iam-service-wildcard", grant("s3*"), "fails"),
        ("aws-iam-service-wildcard", grant("s?:*"), "fails"),
        ("aws-iam-service-wildcard", grant("s3:**", "arn:aws:s3:::models"), "fails"),
        ("aws-iam-service-wildcard", {"Effect": "Allow", "NotAction": "s3:Delete*", "Resource": "a"}, "fails"),
        ("aws-iam-service-wildcard", grant("s3:Get*"), "passes"),
        ("aws-iam-service-wildcard", grant("*"), "passes"),  # reported only by aws-iam-administrator
        ("aws-iam-pass-role", grant("iam:PassRole", "arn:aws:iam::*:role/*"), "fails"),
        ("aws-iam-pass-role", grant("iam:passrole", f"arn:aws:iam::{ACCOUNT}:role/*"), "fails"),
        ("aws-iam-pass-role", grant("*:Pass*", "arn:aws:iam::*:*"), "fails"),
        ("aws-iam-pass-role", {"Effect": "Allow", "NotAction": "s3:*", "Resource": "arn:aws:iam::*:role/*"}, "fails"),
        ("aws-iam-pass-role", grant("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/models-*"), "passes"),
        ("aws-iam-pass-role", grant("iam:PassRole", UNKNOWN), "undecided"),
        ("aws-iam-escalation", grant("iam:*AccessKey", "arn:aws:iam::*:user/*"), "fails"),
        ("aws-iam-escalation", grant("iam:*AccessKey", "arn:aws:iam::*:role/*"), "passes"),
        ("aws-iam-escalation", grant("iam:CreateAccessKey", "arn:aws:iam::*:user/${aws:username}"), "passes"),
    ],
)
def test_grants_of_a_policy(control: str, statement: dict[str, Any], outcome: str) -> None:
    assert evaluate(control, "policy", statement) == outcome


def everyone_if(operator: str, key: str, values: Any) -> dict[str, Any]:
    return grant(Principal="*", Condition={operator: {key: values}})


@pytest.mark.parametrize(
    ("statement", "outcome"),
    [
        (grant(Principal={"AWS": ["*"]}), "fails"),
        (grant(Principal={"AWS": "arn:aws:iam::*:role/models"}), "fails"),
        (grant(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/models"}), "passes"),
        ({"Effect": "Allow", "NotPrincipal": {"AWS": ACCOUNT}, "Action": "s3:*", "Resource": "*"}, "fails"),
        (everyone_if("StringEquals", "aws:PrincipalOrgID", "o-a1b2c3d4e5"), "passes"),
        (everyone_if("StringNotEquals", "aws:PrincipalOrgID", "o-a1b2c3d4e5"), "fails"),
        (everyone_if("StringEqualsIfExists", "aws:PrincipalOrgID", "o-a1b2c3d4e5"), "fails"),
        (everyone_if("ForAllValues:StringEquals", "aws:PrincipalOrgID", "o-a1b2c3d4e5"), "fails"),
        (everyone_if("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-a1b2c3d4e5/*"), "passes"),
        (everyone_if("StringLike", "aws:PrincipalOrgID", "o-*"), "fails"),
        (everyone_if("StringEquals", "aws:SourceOrgID", ["o-a1b2c3d4e5", "*"]), "fails"),
        (everyone_if("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*"), "fails"),
        (everyone_if("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/models"), "fails"),
        (everyone_if("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:role/*"), "passes"),
        (everyone_if("ArnLike", "aws:SourceArn", "arn:aws:s3:::models"), "passes"),
        (everyone_if("ArnLike", "aws:SourceArn", "arn:aws:s3:::*"), "fails"),
        (everyone_if("StringEquals", "aws:VpceAccount", ACCOUNT), "passes"),
        (everyone_if("StringEquals", "aws:SourceVpce", "vpce-1a2b3c4d"), "passes"),
        (everyone_if("StringLike", "aws:SourceVpce", "vpce-*"), "fails"),
        (everyone_if("IpAddress", "aws:SourceIp", "203.0.113.0/24"), "passes"),
        (everyone_if("IpAddress", "aws:SourceIp", ["0.0.0.0/1", "128.0.0.0/1"]), "fails"),
        (everyone_if("NotIpAddress", "aws:SourceIp", "203.0.113.0/24"), "fails"),
        (everyone_if("Null", "aws:PrincipalOrgID", "false"), "fails"),
        (everyone_if("Bool", "aws:SecureTransport", "true"), "fails"),
        (everyone_if("StringEquals", "aws:PrincipalTag/team", "ml"), "fails"),
        (everyone_if("StringEquals", "aws:SourceAccount", UNKNOWN), "undecided"),
    ],
)
@pytest.mark.parametrize("control", ["aws-s3-policy-principal", "aws-kms-policy-principal", "aws-ecr-public-policy"])
def test_callers_that_a_resource_policy_allows(control: str, statement: dict[str, Any], outcome: str) -> None:
    assert evaluate(control, "policy", statement) == outcome


def trust(provider: str, **conditions: Mapping[str, Any]) -> dict[str, Any]:
    principal = provider if "." in provider and "/" not in provider else f"arn:aws:iam::{ACCOUNT}:{provider}"
    return {
        "Effect": "Allow",
        "Principal": {"Federated": principal},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": conditions,
    }


def subject(provider: str, value: Any, operator: str = "StringLike") -> dict[str, Any]:
    conditions = {"StringEquals": {f"{provider}:aud": "sts.amazonaws.com"}}
    conditions.setdefault(operator, {})[f"{provider}:sub"] = value
    return trust(f"oidc-provider/{provider}", **conditions)


@pytest.mark.parametrize(
    ("statement", "outcome"),
    [
        (subject(GITHUB, "repo:acme/models:ref:refs/heads/main", "StringEquals"), "passes"),
        (subject(GITHUB, "repo:acme/*"), "passes"),
        (subject(GITHUB, "repo:*"), "fails"),
        (subject(GITHUB, "repo:acme*"), "fails"),
        (subject(GITHUB, "repo:acme-?/models:*"), "fails"),
        (subject(GITHUB, "workflow:deploy", "StringEquals"), "fails"),
        (subject(GITHUB, ["repo:acme/models:*", "*"]), "fails"),
        (subject(GITHUB, "repo:acme/models:*", "StringLikeIfExists"), "fails"),
        (subject(GITHUB, "repo:acme/models:*", "StringNotLike"), "fails"),
        (subject(EKS, "system:serviceaccount:mlflow:mlflow"), "passes"),
        (subject(EKS, "system:serviceaccount:mlflow:*"), "passes"),
        (subject(EKS, "system:serviceaccount:*:*"), "fails"),
        (subject(EKS, "system:serviceaccount:ml*:mlflow"), "fails"),
        (subject(EKS, UNKNOWN), "undecided"),
        (trust("saml-provider/staff"), "passes"),
        (
            trust(
                "cognito-identity.amazonaws.com",
                StringEquals={"cognito-identity.amazonaws.com:aud": "eu-west-1:12345678-aaaa"},
            ),
            "passes",
        ),
        (trust("cognito-identity.amazonaws.com"), "fails"),
    ],
)
def test_tokens_that_a_role_trusts(statement: dict[str, Any], outcome: str) -> None:
    assert evaluate("aws-iam-oidc-trust", "assumeRolePolicy", statement) == outcome


@pytest.mark.parametrize("statement", ["text", 7, ["list"], {"Action": "s3:*", "Resource": "*"}, grant(Effect="allow")])
def test_a_malformed_statement_is_reported(statement: Any) -> None:
    assert evaluate("aws-iam-administrator", "policy", statement) == "fails"


def deny_without_tls(operator: str = "Bool", key: str = "aws:SecureTransport", value: str = "false") -> dict[str, Any]:
    return {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::models", "arn:aws:s3:::models/*"],
        "Condition": {operator: {key: value}},
    }


@pytest.mark.parametrize(
    ("statement", "is_enough"),
    [
        (deny_without_tls(), True),
        (deny_without_tls("BoolIfExists"), True),
        (deny_without_tls("NumericLessThanIfExists", "s3:TlsVersion", "1.2"), True),
        (deny_without_tls("NumericLessThan", "s3:TlsVersion", "1.2"), False),  # a request without TLS has no version
        ({**deny_without_tls(), "Resource": "arn:aws:s3:::*"}, True),
        ({**deny_without_tls(), "Resource": ["arn:aws:s3:::logs", "arn:aws:s3:::logs/*"]}, False),
        ({**deny_without_tls(), "Resource": "arn:aws:s3:::models"}, False),
        ({**deny_without_tls(), "Resource": "arn:aws:s3:::models/*"}, False),
        ({**deny_without_tls(), "Action": "s3:GetObject"}, False),
        ({**deny_without_tls(), "Action": ["s3:Get*", "s3:Put*", "s3:List*"]}, True),
        ({**deny_without_tls(), "Principal": {"AWS": ACCOUNT}}, False),
        ({**deny_without_tls(), "Effect": "Allow"}, False),
        (deny_without_tls(value="true"), False),
    ],
)
def test_statements_that_deny_requests_without_tls(statement: dict[str, Any], is_enough: bool) -> None:
    bucket = Resource("aws:s3/bucket:Bucket", "models", "urn:bucket", {"bucket": "models"})
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    policy = Resource(
        "aws:s3/bucketPolicy:BucketPolicy", "policy", "urn:policy", {"bucket": "models", "policy": document}
    )
    assert (CONTROLS["aws-s3-tls-only"].evaluate_stack([bucket, policy]) == []) is is_enough
