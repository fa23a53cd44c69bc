"""What AWS policies allow, by second opinions: moto's engine of IAM, and decisions of iam-simulate.

Proves over some thousand random requests, with seeds, that the statements of a policy cover the actions and resources
that moto finds in them, wildcards and NotAction included, and that a Deny goes before an Allow; and for conditions with
StringEquals that those which moto finds unmet by a stranger are those which the controls take for a limit. What moto
evaluates otherwise, or not at all, is listed with the reason, and each difference is shown. Proves for the operators of
conditions that no stranger meets one which the controls take for a limit, as iam-simulate decided once: its licence
(AGPL) keeps it out of the tests, so that its decisions are in tests/support/policies/stranger_decisions.json.
Neither is AWS: what both and the controls get wrong, nothing here can tell.
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
    """The text with a wildcard in the place of a part of it, which may be nothing or everything."""
    start = chance.randint(0, len(text))
    return f"{text[:start]}*{text[chance.randint(start, len(text)) :]}"


def choose_patterns(texts: Sequence[str], chance: random.Random) -> str | list[str]:
    chosen = [loosen(each, chance) if chance.random() < 0.7 else each for each in chance.sample(texts, 2)]
    return chosen if chance.random() < 0.5 else chosen[0]


def make_statement(chance: random.Random) -> Mapping[str, Any]:
    return {
        "Effect": "Deny" if chance.random() < 0.25 else "Allow",
        "NotAction" if chance.random() < 0.3 else "Action": choose_patterns(ACTIONS, chance),
        "Resource": choose_patterns(RESOURCES, chance),
    }


def decide(question: Question) -> str:
    """What the statements decide by the functions that the controls use."""
    concerning = [
        statement
        for statement in map(Statement, question.statements)
        if covers_action(statement, question.action) and covers_resource(statement, question.resource)
    ]
    if any(statement.is_deny for statement in concerning):
        return "DENIED"
    return "PERMITTED" if any(statement.is_allow for statement in concerning) else "NEUTRAL"


def test_actions_and_resources_are_those_that_moto_finds() -> None:
    questions = []
    for seed in range(POLICIES):
        chance = random.Random(seed)  # noqa: S311 (cases of a test, no secret)
        statements = [make_statement(chance) for _ in range(chance.randint(1, 4))]
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


# Keys that say who calls, each with a value that somebody chose; of strangers they have another.
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
# Keys whose value is the caller's own choice, so that a stranger has the right one.
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


def test_conditions_leave_strangers_out_where_moto_finds_them_unmet() -> None:
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
# What moto decides otherwise, by the reason.
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
    "moto knows no NotResource": (
        Question([{"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::models/*"}]),
        "PERMITTED",
        "NEUTRAL",
    ),
    "moto allows what a Deny without Resource refuses": (
        Question([READ, {"Effect": "Deny", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::logs/*"}]),
        "PERMITTED",
        "DENIED",
    ),
}
# The same for conditions: whether a stranger is permitted.
CONDITION_DIFFERENCES: Final[Mapping[str, tuple[Question, bool, bool]]] = {
    "IAM finds a condition unmet where its key is absent": (Question([everyone(**ORGANIZATION)]), True, False),
    "moto lets an Allow whose condition is unmet refuse what another allows": (
        Question([everyone(**ORGANIZATION), {**READ, "Principal": "*"}], context={"aws:PrincipalOrgID": "o-stranger"}),
        False,
        True,
    ),
    "moto knows no operator but StringEquals": (
        Question([everyone("StringLike", **ORGANIZATION)], context={"aws:PrincipalOrgID": "o-stranger"}),
        True,
        False,
    ),
}


def test_each_difference_from_moto_is_one_still() -> None:
    questions = [question for question, _, _ in (*DIFFERENCES.values(), *CONDITION_DIFFERENCES.values())]
    answers = ask_moto(questions)
    for reason, (question, theirs, ours) in DIFFERENCES.items():
        assert (answers[questions.index(question)], decide(question)) == (theirs, ours), reason
    for reason, (question, is_permitted, is_open) in CONDITION_DIFFERENCES.items():
        assert (answers[questions.index(question)] == "PERMITTED") is is_permitted, reason
        assert any(concerns_everyone(Statement(each)) for each in question.statements) is is_open, reason


def list_decisions() -> Iterator[tuple[Mapping[str, Any], bool, bool]]:
    """Conditions of a statement for everyone: whether some stranger meets one, and whether the controls say so."""
    recorded = json.loads((Path(support.__path__[0]) / "stranger_decisions.json").read_text(encoding="utf-8"))
    for condition, admits_strangers in recorded["decisions"]:
        statement = Statement({**READ, "Principal": "*", "Condition": condition})
        yield condition, admits_strangers, concerns_everyone(statement)


def may_admit_others(condition: Mapping[str, Any]) -> bool:
    """Whether a condition that no stranger of the recorded ones meets is no limit all the same.

    It holds without its key, for all values but some, or for names of which it fixes a part only; or its key says
    nothing of the caller's account. Of 0.0.0.0/0 iam-simulate finds no address.
    """
    loose = ("Not", "IfExists", "ForAllValues", "Null", "Bool")
    text = json.dumps(condition)
    return (
        any(word in text for word in loose) or "*" in text or "/1" in text or "/0" in text or "aws:PrincipalTag" in text
    )


def test_no_stranger_meets_a_condition_that_the_controls_take_for_a_limit() -> None:
    decisions = list(list_decisions())
    assert len(decisions) > 450
    assert [condition for condition, admits, is_open in decisions if admits and not is_open] == []
    stricter = [condition for condition, admits, is_open in decisions if is_open and not admits]
    assert [condition for condition in stricter if not may_admit_others(condition)] == []
    assert len(decisions) - len(stricter) > 300
