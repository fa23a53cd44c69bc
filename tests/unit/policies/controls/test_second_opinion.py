"""The meaning of AWS policies, compared with two other implementations: moto's IAM engine, and iam-simulate.

Proves with some thousand random requests, from fixed seeds, that the statements of a policy cover the same actions and
resources as for moto, including wildcards and NotAction, and that a Deny overrides an Allow. For conditions with
StringEquals, it proves that the controls accept as a limit exactly those which strangers do not meet according to moto.
Everything that moto evaluates differently, or not at all, is listed with the reason, and each difference is tested. For
other operators, it proves that no stranger meets a condition which the controls accept as a limit, according to
iam-simulate. Its decisions are recorded in tests/support/policies/stranger_decisions.json, because its licence (AGPL)
keeps it out of the tests.
Neither implementation is AWS, so an error that both share with the controls is not found here.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from kernel.iam import Statement
from policies.controls.aws.statement_meaning import concerns_everyone, covers_action, covers_resource
from tests.support import policies as support
from tests.support.policies.moto_engine import Question, ask_moto

pytestmark = pytest.mark.process

ACCOUNT, STRANGER = "111122223333", "999988887777"
ACTIONS: Final = ("s3:GetObject", "s3:PutObject", "iam:PassRole", "iam:PutRolePolicy", "kms:Decrypt")
RESOURCES: Final = (
    "arn:aws:s3:::models",
    "arn:aws:s3:::models/a/b",
    f"arn:aws:iam::{ACCOUNT}:role/models-train",
    f"arn:aws:iam::{STRANGER}:role/admin",
    f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234",
)
POLICIES: Final = 250


def loosen(text: str, chance: random.Random) -> str:
    """The text with a wildcard in place of a part, which may be empty or all of it."""
    start = chance.randint(0, len(text))
    return f"{text[:start]}*{text[chance.randint(start, len(text)) :]}"


def choose_patterns(texts: Sequence[str], chance: random.Random) -> str | list[str]:
    chosen = [loosen(each, chance) if chance.random() < 0.7 else each for each in chance.sample(texts, 2)]
    return chosen if chance.random() < 0.5 else chosen[0]


def create_statement(chance: random.Random) -> Mapping[str, Any]:
    return {
        "Effect": "Deny" if chance.random() < 0.25 else "Allow",
        "NotAction" if chance.random() < 0.3 else "Action": choose_patterns(ACTIONS, chance),
        "Resource": choose_patterns(RESOURCES, chance),
    }


def decide(question: Question) -> str:
    """The decision of the statements, according to the functions that the controls use."""
    concerning = [
        statement
        for statement in map(Statement, question.statements)
        if covers_action(statement, question.action) and covers_resource(statement, question.resource)
    ]
    if any(statement.is_deny for statement in concerning):
        return "DENIED"
    return "PERMITTED" if any(statement.is_allow for statement in concerning) else "NEUTRAL"


def test_actions_and_resources_match_the_decisions_of_moto() -> None:
    questions = []
    for seed in range(POLICIES):
        chance = random.Random(seed)  # noqa: S311 (test cases, not a secret)
        statements = [create_statement(chance) for _ in range(chance.randint(1, 4))]
        questions += [Question(statements, *request) for request in itertools.product(ACTIONS, RESOURCES)]
    answers = ask_moto(questions)
    differing = [
        (each, theirs, ours)
        for each, theirs in zip(questions, answers, strict=True)
        if (ours := decide(each)) != theirs
    ]
    assert differing == []
    assert all(count > len(questions) / 20 for count in Counter(answers).values())
    assert set(answers) == {"PERMITTED", "DENIED", "NEUTRAL"}


# Keys that identify the caller, each with an allowed value; strangers have another value.
CALLERS: Final = {
    "aws:PrincipalOrgID": "o-a1b2c3d4e5",
    "aws:PrincipalAccount": ACCOUNT,
    "aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/models",
    "aws:SourceAccount": ACCOUNT,
    "aws:SourceArn": f"arn:aws:sns:eu-west-1:{ACCOUNT}:models",
    "aws:SourceOrgID": "o-a1b2c3d4e5",
    "aws:SourceVpc": "vpc-1a2b3c4d",
    "aws:SourceVpce": "vpce-1a2b3c4d",
    "aws:VpceAccount": ACCOUNT,
    "kms:CallerAccount": ACCOUNT,
}
# Keys whose value the caller chooses, so that a stranger can have the right one.
CHOICES: Final = {
    "aws:PrincipalTag/team": "ml",
    "aws:RequestedRegion": "eu-west-1",
    "aws:SecureTransport": "true",
    "aws:UserAgent": "models/1",
    "s3:prefix": "models/",
}


def everyone(operator: str = "StringEquals", **conditions: Any) -> Mapping[str, Any]:
    allowed = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}
    return {**allowed, "Condition": {operator: conditions}}


def ask_as_stranger(conditions: Mapping[str, Any]) -> Question:
    context = {key: CHOICES.get(key, f"{CALLERS.get(key, '')}-of-a-stranger") for key in conditions}
    return Question([everyone(**conditions)], context=context)


def test_conditions_exclude_strangers_if_moto_finds_them_unmet() -> None:
    single: list[Mapping[str, Any]] = [{key: value} for key, value in {**CALLERS, **CHOICES}.items()]
    several: list[Mapping[str, Any]] = [{key: [value, f"{value}-2"]} for key, value in {**CALLERS, **CHOICES}.items()]
    both: list[Mapping[str, Any]] = [{**one, **other} for one, other in itertools.combinations(single, 2)]
    questions = [ask_as_stranger(each) for each in (*single, *several, *both)]
    answers = ask_moto(questions)
    differing = [
        (each.statements, theirs)
        for each, theirs in zip(questions, answers, strict=True)
        if any(concerns_everyone(Statement(statement)) for statement in each.statements) != (theirs == "PERMITTED")
    ]
    assert differing == []
    assert min(Counter(answers).values()) > len(CHOICES)


READ: Final = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
ORGANIZATION: Final = {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}
# Questions that moto decides differently, keyed by the reason.
DIFFERENCES: Final[Mapping[str, tuple[Question, str, str]]] = {
    "IAM compares actions without regard to case": (
        Question([{**READ, "Action": "S3:getobject"}]),
        "NEUTRAL",
        "PERMITTED",
    ),
    "IAM reads ? as any one character": (Question([{**READ, "Action": "s3:Get?bject"}]), "NEUTRAL", "PERMITTED"),
    "IAM reads a dot as a dot": (
        Question([{**READ, "Resource": "arn:aws:s3:::models.a"}], resource="arn:aws:s3:::models-a"),
        "PERMITTED",
        "NEUTRAL",
    ),
    "moto does not support NotResource": (
        Question([{"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::models/*"}]),
        "PERMITTED",
        "NEUTRAL",
    ),
    "moto ignores a Deny without Resource": (
        Question([READ, {"Effect": "Deny", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::logs/*"}]),
        "PERMITTED",
        "DENIED",
    ),
}
# The same for conditions: whether moto permits a stranger, and whether the controls do.
CONDITION_DIFFERENCES: Final[Mapping[str, tuple[Question, bool, bool]]] = {
    "IAM finds a condition unmet if its key is absent": (Question([everyone(**ORGANIZATION)]), True, False),
    "moto denies a request that one Allow permits because of another whose condition is unmet": (
        Question([everyone(**ORGANIZATION), {**READ, "Principal": "*"}], context={"aws:PrincipalOrgID": "o-stranger"}),
        False,
        True,
    ),
    "moto supports only the operator StringEquals": (
        Question([everyone("StringLike", **ORGANIZATION)], context={"aws:PrincipalOrgID": "o-stranger"}),
        True,
        False,
    ),
}


def test_each_difference_from_moto_still_exists() -> None:
    questions = [question for question, _, _ in (*DIFFERENCES.values(), *CONDITION_DIFFERENCES.values())]
    answers = ask_moto(questions)
    for reason, (question, theirs, ours) in DIFFERENCES.items():
        assert (answers[questions.index(question)], decide(question)) == (theirs, ours), reason
    for reason, (question, is_permitted, is_open) in CONDITION_DIFFERENCES.items():
        assert (answers[questions.index(question)] == "PERMITTED") is is_permitted, reason
        assert any(concerns_everyone(Statement(each)) for each in question.statements) is is_open, reason


def list_decisions() -> Iterator[tuple[Mapping[str, Any], bool, bool]]:
    """Conditions of a statement for everyone, with whether a stranger meets them: as recorded, and for the controls."""
    recorded = json.loads((Path(support.__path__[0]) / "stranger_decisions.json").read_text(encoding="utf-8"))
    for condition, admits_strangers in recorded["decisions"]:
        statement = Statement({**READ, "Principal": "*", "Condition": condition})
        yield condition, admits_strangers, concerns_everyone(statement)


def may_admit_others(condition: Mapping[str, Any]) -> bool:
    """Whether a condition is not a limit although none of the recorded strangers meets it.

    It holds without its key, for all values except some, or for names of which it fixes only a part; or its key does
    not identify the caller's account. For iam-simulate, 0.0.0.0/0 contains no address.
    """
    loose = ("Not", "IfExists", "ForAllValues", "Null", "Bool")
    text = json.dumps(condition)
    return (
        any(word in text for word in loose) or "*" in text or "/1" in text or "/0" in text or "aws:PrincipalTag" in text
    )


def test_no_other_principal_meets_a_condition_that_the_controls_accept_as_a_limit() -> None:
    decisions = list(list_decisions())
    assert len(decisions) > 450
    assert [condition for condition, admits, is_open in decisions if admits and not is_open] == []
    stricter = [condition for condition, admits, is_open in decisions if is_open and not admits]
    assert [condition for condition in stricter if not may_admit_others(condition)] == []
    assert len(decisions) - len(stricter) > 300
