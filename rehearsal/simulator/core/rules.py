"""Rules that resource models of every cloud share.

Each takes the cloud's error message. Unless stated otherwise, `{value}` in a message is the offending value, and values
that are not set, or not known in a preview, pass.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from kernel.values import UNKNOWN, as_list
from rehearsal.simulator.core.resource_model import ResourceRequest, Rule


def matches(path: str, pattern: str, message: str) -> Rule:
    """The text at `path` matches the whole of a regular expression."""
    compiled = re.compile(pattern)
    return _check_value(path, lambda value: bool(compiled.fullmatch(str(value))), message)


def one_of(path: str, allowed: Collection[Any], message: str) -> Rule:
    """The value at `path` is one of `allowed`."""
    return _check_value(path, lambda value: value in allowed, message)


def in_range(path: str, low: int, high: int, message: str) -> Rule:
    """The number at `path` lies between two bounds, both included."""
    return _check_value(path, lambda value: low <= value <= high, message)


def refuse_when(condition: Callable[[ResourceRequest], bool], message: str) -> Rule:
    """Refuse the request if `condition` holds. The message is a template that the request fills."""

    def rule(request: ResourceRequest) -> str | None:
        return request.fill(message) if condition(request) else None

    return rule


def unless_unchanged(path: str, rule: Rule) -> Rule:
    """A rule for new values only: an existing resource may keep its value at `path`, such as a discontinued version."""

    def conditional(request: ResourceRequest) -> str | None:
        is_unchanged = request.previous is not None and request.get(path) == request.get_previous(path)
        return None if is_unchanged else rule(request)

    return conditional


def refuse_items_when(path: str, condition: Callable[[Any], bool], message: str) -> Rule:
    """No item of the list at `path` meets a condition; `{value}` is the first that does."""

    def rule(request: ResourceRequest) -> str | None:
        refused = [item for item in as_list(request.get(path)) if item is not UNKNOWN and condition(item)]
        return message.format(value=refused[0]) if refused else None

    return rule


def describe_unlisted(question: str, value: Any, known: Iterable[str]) -> str:
    """A note that a value is not one that the simulation knows; the cloud may have others.

    question  what the value leaves open: `whether AWS has the endpoint service`
    """
    similar = difflib.get_close_matches(str(value), list(known), n=1)
    return f"{question} '{value}'" + (f", did you mean '{similar[0]}'?" if similar else "")


def note_unlisted(path: str, known: Collection[str], question: str) -> Rule:
    """For notes: the text at `path` is one of `known`. `question` is as in `describe_unlisted`."""

    def rule(request: ResourceRequest) -> str | None:
        value = request.get(path)
        return describe_unlisted(question, value, known) if isinstance(value, str) and value not in known else None

    return rule


def require_any(paths: Collection[str], message: str) -> Rule:
    """At least one of `paths` is set. The message is used as it is."""

    def rule(request: ResourceRequest) -> str | None:
        return message if all(request.get(path) is None for path in paths) else None

    return rule


def require_json(path: str, message: str) -> Rule:
    """The text at `path` is JSON. The message is used as it is."""

    def rule(request: ResourceRequest) -> str | None:
        value = request.get(path)
        return message if value is not None and parse_json(value) is None else None

    return rule


def require_existing(path: str, type_: str, message: str, name_path: str = "") -> Rule:
    """A resource of a type exists whose ID, or whose input at `name_path`, is the value at `path`."""

    def rule(request: ResourceRequest) -> str | None:
        name = request.get(path)
        names = (other.inputs.get(name_path) if name_path else other.id for other in request.state.all(type_))
        return None if name is None or name in names else message.format(value=name)

    return rule


def require_unique(paths: Collection[str], message: str) -> Rule:
    """No other resource of the same type has the same values at all `paths`.

    `{0}` in the message is the first of these values, `{id}` the other resource's ID.

    For types whose ID does not contain the name.
    """

    def rule(request: ResourceRequest) -> str | None:
        values = [request.get(path) for path in paths]
        others = (other for other in request.state.all(request.type) if other.id != request.id)
        same = next((other for other in others if [other.inputs.get(path) for path in paths] == values), None)
        return message.format(*values, id=same.id) if same and None not in values else None

    return rule


def refuse_while_used(type_: str, path: str, message: str) -> Rule:
    """For deletions: no resource of a type refers to this one at `path`. `{value}` is its ID, `{users}` are theirs."""

    def rule(request: ResourceRequest) -> str | None:
        users = [other.id for other in request.state.all(type_) if other.inputs.get(path) == request.id]
        return message.format(value=request.id, users=", ".join(users)) if users else None

    return rule


def list_objects(request: ResourceRequest, path: str) -> Iterator[Mapping[str, Any]]:
    """The objects in the list at `path`; unknown items are left out."""
    value = request.get(path, [])
    for item in value if isinstance(value, list) else []:
        if isinstance(item, Mapping):
            yield item


def parse_cidr(value: Any) -> ipaddress.IPv4Network | None:
    """The address block that a text denotes; None if it is not an address block, or is unknown."""
    try:
        return ipaddress.IPv4Network(value) if isinstance(value, str) else None
    except ValueError:
        return None


def parse_json(text: Any) -> Any:
    """The value of a JSON text; UNKNOWN if a preview does not know the text, None if it is not JSON."""
    if text is UNKNOWN:
        return UNKNOWN
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None


def _check_value(path: str, is_valid: Callable[[Any], bool], message: str) -> Rule:
    def rule(request: ResourceRequest) -> str | None:
        value = request.get(path, UNKNOWN)
        return None if value is UNKNOWN or is_valid(value) else message.format(value=value)

    return rule
