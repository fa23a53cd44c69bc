"""Checks on the statements of AWS policy documents, which are known only once every ARN in them is."""

from collections.abc import Callable
from typing import Final

from kernel.iam import Statement, parse_document, statements
from kernel.paths import each_value
from kernel.values import ABSENT, UNKNOWN
from policies.engine.findings import Findings, Props, Undecided

# Conditions on these keys limit the principal "*" to named callers, networks or resources.
NARROWING_KEYS: Final = frozenset(
    {
        "aws:principalorgid",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "kms:calleraccount",
    }
)


def check_statements(props: Props, path: str, find_problem: Callable[[Statement], str | None]) -> Findings:
    """Report what `find_problem` returns for each Allow statement. An absent document allows nothing."""
    for where, value in each_value(props, path):
        if value is UNKNOWN:
            yield Undecided(where)
        elif value is not ABSENT and parse_document(value) is None:
            yield f"{where} must be a policy document in JSON"
        else:
            for index, statement in enumerate(statements(value)):
                problem = find_problem(statement) if statement.is_allow else None
                if problem:
                    yield f"{where}, statement {index}, {problem}"


def trusts_everyone(statement: Statement) -> str | None:
    """The problem of a statement whose principal is everyone, and that has no condition on whom that means."""
    narrowed = NARROWING_KEYS & {condition.key.lower() for condition in statement.conditions}
    everyone = "*" in statement.principals("AWS") and not narrowed
    return "must name its principals, otherwise every AWS account has access" if everyone else None
