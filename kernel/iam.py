"""Reading AWS policy documents: IAM policies, trust policies, and policies of buckets, keys, repositories and secrets.

A document is JSON text, a mapping that is already parsed, or UNKNOWN while a preview does not know an ARN in it.
Elements that may hold one value or a list are always read as lists. Nothing here evaluates conditions, NotAction or
NotResource; callers decide what those mean to them.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple

from kernel.values import UNKNOWN, Marker, Truth, all_hold, any_holds, as_list

PrincipalKind = Literal["AWS", "CanonicalUser", "Federated", "Service"]


class Condition(NamedTuple):
    """One test of a statement's Condition element. `values` holds alternatives."""

    operator: str
    key: str
    values: list[Any]


@dataclass(frozen=True)
class Statement:
    """One statement of a policy; `elements` is the statement as written."""

    elements: Mapping[str, Any]

    @property
    def is_allow(self) -> bool:
        return self.elements.get("Effect") == "Allow"

    @property
    def is_deny(self) -> bool:
        return self.elements.get("Effect") == "Deny"

    @property
    def actions(self) -> list[Any]:
        return as_list(self.elements.get("Action"))

    @property
    def resources(self) -> list[Any]:
        return as_list(self.elements.get("Resource"))

    @property
    def conditions(self) -> list[Condition]:
        """Every condition; none if the element is unknown or malformed."""
        element = self.elements.get("Condition")
        operators = element.items() if isinstance(element, Mapping) else ()
        return [
            Condition(operator, key, as_list(values))
            for operator, tests in operators
            if isinstance(tests, Mapping)
            for key, values in tests.items()
        ]

    def has(self, element: str) -> bool:
        """Whether an element such as `Principal` or `NotAction` is written in the statement."""
        return element in self.elements

    def principals(self, kind: PrincipalKind) -> list[Any]:
        """The principals of one kind. The bare principal `*` is of every kind."""
        principal = self.elements.get("Principal")
        return as_list(principal.get(kind) if isinstance(principal, Mapping) else principal)

    def names_action(self, action: str) -> Truth:
        """Whether a pattern of the Action element matches an action, ignoring case; UNKNOWN if one still may."""
        return any_holds(_matches(pattern, action) for pattern in self.actions)


def parse_document(document: Any) -> Mapping[str, Any] | Literal[Marker.UNKNOWN] | None:
    """A policy document from JSON text or a mapping; None if it is neither."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return None
    return document if document is UNKNOWN or isinstance(document, Mapping) else None


def statements(document: Any) -> list[Statement]:
    """The statements of a document in any of its forms; none if it is unknown or cannot be read.

    Callers that must tell those apart call `parse_document` first.
    """
    policy = parse_document(document)
    found = as_list(policy.get("Statement")) if isinstance(policy, Mapping) else []
    return [Statement(each) for each in found if isinstance(each, Mapping)]


def allows(document: Any, kind: PrincipalKind, principal: str, action: str) -> Truth:
    """Whether a statement allows an action for a principal that it names.

    UNKNOWN if the document, or an element that decides, is unknown: compare with `is True` or `is not False`.
    """
    policy = parse_document(document)
    if policy is UNKNOWN:
        return UNKNOWN
    return any_holds(
        all_hold(
            (
                statement.is_allow,
                any_holds(_equals(named, principal) for named in statement.principals(kind)),
                statement.names_action(action),
            )
        )
        for statement in statements(policy)
    )


def _equals(value: Any, wanted: str) -> Truth:
    return UNKNOWN if value is UNKNOWN else bool(value == wanted)


def _matches(pattern: Any, action: str) -> Truth:
    return UNKNOWN if pattern is UNKNOWN else fnmatchcase(action.lower(), str(pattern).lower())
