"""Reading AWS policy documents: JSON text in a property, known only once every ARN in it is."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from policies.props import ABSENT, UNKNOWN, Props, Undecided, Verdicts, each, items

Statement: TypeAlias = Mapping[str, Any]

# Conditions that tie "anyone" to callers, networks or resources one has named.
NARROWING_KEYS = {
    "aws:principalorgid",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "kms:calleraccount",
}


def judge_statements(props: Props, path: str, fault: Callable[[Statement], str | None]) -> Verdicts:
    """Ask `fault` about every statement that allows something; a missing document allows nothing."""
    for where, value in each(props, path):
        if value is ABSENT:
            continue
        if value is UNKNOWN:
            yield Undecided(where)
            continue
        found = statements(value)
        if found is None:
            yield f"{where} is not a policy document"
            continue
        for index, statement in enumerate(found):
            wrong = fault(statement) if statement.get("Effect") == "Allow" else None
            if wrong:
                yield f"{where}, statement {index}: {wrong}"


def statements(document: Any) -> list[Statement] | None:
    """The statements of a document in JSON or already parsed; None if it is neither."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return None
    if not isinstance(document, Mapping):
        return None
    return [statement for statement in items(document.get("Statement")) if isinstance(statement, Mapping)]


def trusts_anyone(statement: Statement) -> str | None:
    """A fault if the statement's principal is everyone and no condition says whom it means."""
    principal = statement.get("Principal")
    named = principal.get("AWS") if isinstance(principal, Mapping) else principal
    narrowed = NARROWING_KEYS & {key.lower() for _, key, _ in conditions(statement)}
    return "any AWS account may use it" if "*" in items(named) and not narrowed else None


def conditions(statement: Statement) -> Iterator[tuple[str, str, list[Any]]]:
    """Each condition as operator, key and values."""
    for operator, tests in (statement.get("Condition") or {}).items():
        for key, values in tests.items():
            yield operator, key, items(values)
