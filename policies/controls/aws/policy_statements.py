"""Checks on the statements of AWS policy documents, in which a preview may not know every ARN."""

from collections.abc import Callable
from typing import Any, Final

from kernel.iam import Statement, parse_document, statements
from kernel.paths import each_value
from kernel.values import ABSENT, UNKNOWN, as_list
from policies.controls.aws.statement_meaning import concerns_everyone, with_unknowns_as
from policies.engine.findings import Findings, Props, Undecided

# The possible meanings of an unknown value: one name, or everything.
_BEST: Final = "arn:aws:s3:::a-name-that-is-not-known-yet"
_WORST: Final = "*"


def check_statements(
    props: Props, path: str, find_problem: Callable[[Statement], str | None], *, reports_malformed: bool = True
) -> Findings:
    """Report what `find_problem` returns for each Allow statement. An absent document allows nothing.

    A statement with unknown values is undecided if its problem depends on them. If several controls evaluate the same
    document, only one of them reports that it is malformed.
    """
    for where, value in each_value(props, path):
        if value is UNKNOWN:
            yield Undecided(where)
        elif value is not ABSENT and not _is_document(value):
            if reports_malformed:
                yield f"{where} must be a policy document in JSON with statements that allow or deny"
        else:
            for index, statement in enumerate(statements(value)):
                yield from _check_statement(f"{where}, statement {index},", statement, find_problem)


def _is_document(value: Any) -> bool:
    document = parse_document(value)
    if document is UNKNOWN or document is None:
        return document is UNKNOWN
    return all(each is UNKNOWN or _is_statement(each) for each in as_list(document.get("Statement")))


def _is_statement(value: Any) -> bool:
    return isinstance(value, dict) and value.get("Effect") in ("Allow", "Deny", UNKNOWN)


def _check_statement(where: str, statement: Statement, find_problem: Callable[[Statement], str | None]) -> Findings:
    if not statement.is_allow:
        return
    problem = find_problem(Statement(with_unknowns_as(_BEST, statement.elements)))
    if problem:
        yield f"{where} {problem}"
    elif find_problem(Statement(with_unknowns_as(_WORST, statement.elements))):
        yield Undecided(where.rstrip(","))


def trusts_everyone(statement: Statement) -> str | None:
    """The problem with a statement whose principal is everyone, without a condition that limits the callers."""
    return "must name its principals, otherwise every AWS account has access" if concerns_everyone(statement) else None
