"""Reading policy documents: both spellings of every element, unknown parts, and text that is not a policy."""

import json
from typing import Any

import pytest

from kernel.iam import Condition, PrincipalKind, Statement, allows, parse_document, statements
from kernel.values import UNKNOWN

ALLOW = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
DENY = {"Effect": "Deny", "Principal": "*", "Action": ["s3:*"], "Resource": ["a", "b"]}


def policy(*found: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(found)})


def test_a_document_is_json_text_or_already_parsed() -> None:
    assert parse_document('{"Statement": []}') == {"Statement": []}
    assert parse_document({"Statement": []}) == {"Statement": []}
    assert parse_document(UNKNOWN) is UNKNOWN


@pytest.mark.parametrize("document", ["not JSON", "[]", "7", None, 7, ["a"]])
def test_values_that_are_not_a_policy_document(document: Any) -> None:
    assert parse_document(document) is None
    assert statements(document) == []


def test_a_single_statement_does_not_need_a_list() -> None:
    assert statements({"Statement": ALLOW}) == statements(policy(ALLOW)) == [Statement(ALLOW)]
    assert statements(policy("no statement", ALLOW)) == [Statement(ALLOW)]
    assert statements({}) == statements(UNKNOWN) == statements({"Statement": UNKNOWN}) == []


def test_elements_are_read_as_lists() -> None:
    allow, deny = statements(policy(ALLOW, DENY))
    assert (allow.is_allow, allow.is_deny) == (True, False)
    assert (deny.is_allow, deny.is_deny) == (False, True)
    assert allow.actions == ["sts:AssumeRole"]
    assert deny.actions == ["s3:*"]
    assert allow.resources == []
    assert deny.resources == ["a", "b"]
    assert allow.has("Action")
    assert not allow.has("NotAction")


def test_principals_by_kind() -> None:
    allow, deny = statements(policy(ALLOW, DENY))
    assert allow.principals("Service") == ["ec2.amazonaws.com"]
    assert allow.principals("AWS") == []
    assert deny.principals("AWS") == deny.principals("Service") == ["*"]
    assert Statement({}).principals("AWS") == []
    assert Statement({"Principal": UNKNOWN}).principals("AWS") == [UNKNOWN]


def test_conditions() -> None:
    element = {"StringEquals": {"aws:SourceAccount": "1", "aws:SourceArn": ["a", "b"]}, "Bool": {"x": "false"}}
    assert Statement({"Condition": element}).conditions == [
        Condition("StringEquals", "aws:SourceAccount", ["1"]),
        Condition("StringEquals", "aws:SourceArn", ["a", "b"]),
        Condition("Bool", "x", ["false"]),
    ]
    for malformed in (None, UNKNOWN, "text", {"Bool": "text"}):
        assert Statement({"Condition": malformed}).conditions == []


@pytest.mark.parametrize(
    ("patterns", "answer"),
    [
        ("sts:AssumeRole", True),
        ("STS:assume*", True),
        ("*", True),
        (["s3:*", "sts:Assume?ole"], True),
        ("sts:TagSession", False),
        (["s3:*", UNKNOWN], UNKNOWN),
        (["sts:*", UNKNOWN], True),
        ([], False),
    ],
)
def test_action_patterns(patterns: Any, answer: object) -> None:
    assert Statement({"Action": patterns}).names_action("sts:AssumeRole") is answer


@pytest.mark.parametrize(
    ("document", "kind", "principal", "action", "answer"),
    [
        (policy(ALLOW), "Service", "ec2.amazonaws.com", "sts:AssumeRole", True),
        (policy(ALLOW), "Service", "ec2.amazonaws.com", "sts:TagSession", False),
        (policy(ALLOW), "Service", "eks.amazonaws.com", "sts:AssumeRole", False),
        (policy(ALLOW), "AWS", "ec2.amazonaws.com", "sts:AssumeRole", False),
        (policy({**DENY, "Principal": {"AWS": "x"}}), "AWS", "x", "s3:GetObject", False),
        (policy(), "AWS", "x", "s3:GetObject", False),
        ("not JSON", "AWS", "x", "s3:GetObject", False),
        (UNKNOWN, "AWS", "x", "s3:GetObject", UNKNOWN),
        ({"Statement": {**ALLOW, "Principal": UNKNOWN}}, "Service", "x", "sts:AssumeRole", UNKNOWN),
        ({"Statement": {**ALLOW, "Principal": UNKNOWN}}, "Service", "x", "sts:TagSession", False),
        ({"Statement": {**ALLOW, "Action": UNKNOWN}}, "Service", "ec2.amazonaws.com", "sts:TagSession", UNKNOWN),
    ],
)
def test_allows(document: Any, kind: PrincipalKind, principal: str, action: str, answer: object) -> None:
    assert allows(document, kind, principal, action) is answer
