"""The meaning of an Allow or Deny statement of an AWS policy: the actions, resources and callers that it covers.

Patterns can be spelled in many ways, so these functions test them on examples instead of comparing their spelling.
Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html (wildcards),
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html (what "public" means).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from kernel.iam import Condition, Statement
from kernel.values import UNKNOWN, as_list

# No service, account, role or bucket has these names, so a pattern that matches them matches everything.
_SOME_SERVICES: Final = ("groundwork7probe", "probe7groundwork")
_SOME_ACTION: Final = "Groundwork7Probe"
_SOME_NAME: Final = "groundwork-7-probe"
_SOME_ACCOUNT: Final = "210987654321"

# Condition keys that identify the caller, or the resource for which a service calls.
_CALLER_KEYS: Final = frozenset(
    {
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpcarn",
        "aws:sourcevpce",
        "aws:userid",
        "aws:username",
        "aws:vpceaccount",
        "aws:vpceorgid",
        "aws:vpceorgpaths",
        "kms:calleraccount",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
    }
)
_ARN_KEYS: Final = frozenset({"aws:principalarn", "aws:sourcearn", "aws:sourcevpcarn", "s3:dataaccesspointarn"})
_ADDRESS_KEYS: Final = frozenset({"aws:sourceip", "aws:vpcsourceip"})
_TEXT_OPERATORS: Final = frozenset({"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike"})

_ANY_ACCOUNT: Final = re.compile(r"arn:[^:]*:(iam|sts)::[^:]*[*?]")

# Shortest prefixes of address ranges that count as a limit; two halves of the Internet would not be one.
_WIDEST_RANGES: Final = {4: 8, 6: 16}


@lru_cache(maxsize=4096)
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern), re.I | re.S)


def matches(pattern: Any, text: str) -> bool:
    """Whether a pattern with IAM's wildcards, `*` and `?`, matches a string, ignoring case."""
    return isinstance(pattern, str) and _compile(pattern).fullmatch(text) is not None


def covers_action(statement: Statement, action: str) -> bool:
    """Whether the statement's Action or NotAction covers an action such as `iam:PassRole`."""
    return _covers(statement, "Action", action)


def covers_resource(statement: Statement, arn: str) -> bool:
    """Whether the statement's Resource or NotResource covers an ARN. One without either concerns its own resource."""
    if not statement.has("Resource") and not statement.has("NotResource"):
        return True
    return _covers(statement, "Resource", arn)


def covers_every_resource(statement: Statement) -> bool:
    """Whether it covers resources of any kind and name in some account."""
    return any(
        all(
            covers_resource(statement, f"arn:aws:{service}:eu-west-1:{account}:thing/{_SOME_NAME}")
            for service in _SOME_SERVICES
        )
        for account in _example_accounts(statement)
    )


def covers_every_key(statement: Statement) -> bool:
    """Whether it covers any key of AWS KMS in some account."""
    return any(
        covers_resource(statement, f"arn:aws:kms:eu-west-1:{account}:key/{_SOME_NAME}")
        for account in _example_accounts(statement)
    )


def covers_every_identity(statement: Statement, kind: str) -> bool:
    """Whether it covers any `role`, `user`, `group` or `policy` of some account."""
    return any(
        covers_resource(statement, f"arn:aws:iam::{account}:{kind}/{_SOME_NAME}")
        for account in _example_accounts(statement)
    )


def covers_every_action(statement: Statement) -> bool:
    """Whether it covers actions of any service."""
    return all(covers_action(statement, f"{service}:{_SOME_ACTION}") for service in _SOME_SERVICES)


def covers_whole_service(statement: Statement) -> bool:
    """Whether it covers every action that some service has now or later."""
    services = {*_SOME_SERVICES, *_written_services(statement.elements.get("Action"))}
    return any(covers_action(statement, f"{service}:{_SOME_ACTION}") for service in services)


def principals(statement: Statement) -> list[Any]:
    """The AWS principals. A bare `*` and NotPrincipal are returned as `*`, which is everyone."""
    return ["*"] if statement.has("NotPrincipal") else statement.principals("AWS")


def concerns_everyone(statement: Statement) -> bool:
    """Whether a principal of the statement is everyone, and no condition limits the callers."""
    everyone = any(map(_is_everyone, principals(statement)))
    return everyone and not any(map(limits_callers, statement.conditions))


def _is_everyone(principal: Any) -> bool:
    """Whether a principal is `*`, or an ARN of any account. AWS rejects the latter, whose author means everyone."""
    return isinstance(principal, str) and (set(principal) == {"*"} or bool(_ANY_ACCOUNT.match(principal)))


def limits_callers(condition: Condition) -> bool:
    """Whether a condition holds only for certain callers, networks or resources, and not if its key is absent."""
    operator, key = _positive_operator(condition), condition.key.lower()
    if operator is None or not condition.values:
        return False
    if operator == "ipaddress" and key in _ADDRESS_KEYS:
        return all(map(_is_chosen_range, condition.values))
    if operator == "bool":
        return key == "aws:principalisawsservice" and condition.values in ([True], ["true"])
    if operator not in _TEXT_OPERATORS or key not in _CALLER_KEYS:
        return False
    is_chosen = _is_chosen_arn if key in _ARN_KEYS else _is_chosen_name
    return all(map(is_chosen, condition.values))


def limits_audience(condition: Condition, *claims: str) -> bool:
    """Whether a condition holds only for tokens that were issued for certain audiences."""
    return _limits(condition, claims, lambda value, _: _is_chosen_name(value))


def limits_subject(condition: Condition) -> bool:
    """Whether a condition holds only for workloads of certain owners."""
    return _limits(condition, ("sub",), _is_chosen_subject)


def _limits(condition: Condition, claims: tuple[str, ...], is_chosen: Callable[[Any, str], bool]) -> bool:
    provider, _, claim = condition.key.lower().rpartition(":")
    if claim not in claims or _positive_operator(condition) not in _TEXT_OPERATORS or not condition.values:
        return False
    return all(is_chosen(value, provider) for value in condition.values)


def _positive_operator(condition: Condition) -> str | None:
    """The operator in lower case; None if the condition also holds without its key, or for all other values."""
    quantifier, _, operator = condition.operator.lower().rpartition(":")
    lenient = operator.endswith("ifexists") or quantifier == "forallvalues" or "not" in operator or operator == "null"
    return None if lenient else operator


def _covers(statement: Statement, element: str, text: str) -> bool:
    excluded = statement.elements.get(f"Not{element}")
    if excluded is not None:
        return not any(matches(pattern, text) for pattern in as_list(excluded))
    return any(matches(pattern, text) for pattern in as_list(statement.elements.get(element)))


def _example_accounts(statement: Statement) -> set[str]:
    """An account that does not exist, and those that the statement's resources name."""
    written = (re.findall(r":(\d{12}):", str(pattern)) for pattern in statement.resources)
    return {_SOME_ACCOUNT}.union(*written)


def _written_services(patterns: Any) -> set[str]:
    """Examples of the services that patterns name: `s3` of `s3:*` and of `s3*`, `sa` of `s?:*`."""
    written = (str(pattern).partition(":")[0] for pattern in as_list(patterns))
    return {name.replace("*", "").replace("?", "a") or _SOME_SERVICES[0] for name in written}


def _is_chosen_name(value: Any) -> bool:
    """Whether a value, such as an account ID, has wildcards only after a complete name: `o-a1b2c3d4e5/*`."""
    if not isinstance(value, str) or not value:
        return False
    fixed = re.split(r"[*?]", value)[0]
    return fixed == value or re.match(r"[^:/]{4,}[:/]", fixed) is not None


def _is_chosen_arn(value: Any) -> bool:
    """Whether an ARN names its account or, for buckets, whose ARNs have no account, its resource."""
    if not isinstance(value, str):
        return False
    account, resource = (value.split(":", 5) + [""] * 6)[4:6]
    if re.fullmatch(r"\d{12}", value) or re.fullmatch(r"\d{12}", account):
        return True
    return not account and ":s3:" in value and bool(re.match(r"[^*?/]+(/|$)", resource))


def _is_chosen_range(value: Any) -> bool:
    try:
        network = ipaddress.ip_network(str(value), strict=False)
    except ValueError:
        return False
    return network.prefixlen >= _WIDEST_RANGES[network.version]


def _is_chosen_subject(value: Any, provider: str) -> bool:
    """Whether a token's subject names the owner of the workloads: an organization, or a namespace.

    GitHub's provider serves all of its customers, so a subject that names no owner may belong to anybody.
    Source: https://docs.github.com/actions/security-for-github-actions/security-hardening-your-deployments
    """
    if not isinstance(value, str) or not value:
        return False
    fixed = re.split(r"[*?]", value)[0]
    if provider.startswith("token.actions.githubusercontent.com"):
        return re.match(r"(repo:[^/:]+/|repository_(owner|id|owner_id):[^:]+(:|$))", fixed) is not None
    if value.startswith("system:serviceaccount:"):
        return re.match(r"system:serviceaccount:[^:]+:", fixed) is not None
    return fixed == value or re.match(r"[^:/]+[:/][^:/]+[:/]", fixed) is not None


def with_unknowns_as(stand_in: str, value: Any) -> Any:
    """A copy of a document in which every unknown value is replaced by a string."""
    if value is UNKNOWN:
        return stand_in
    if isinstance(value, Mapping):
        return {key: with_unknowns_as(stand_in, each) for key, each in value.items()}
    return [with_unknowns_as(stand_in, each) for each in value] if isinstance(value, list | tuple) else value
