"""What the models of AWS share: policy documents, and rules over what exists."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from rehearsal.simulator.core.resource_model import Resource, ResourceRequest, Rule
from rehearsal.simulator.core.values import UNKNOWN

Statements = list[Mapping[str, Any]]


def parsed(document: Any) -> Any:
    """A JSON document, UNKNOWN when a preview does not know it, None when it is not JSON."""
    if document is UNKNOWN:
        return UNKNOWN
    try:
        return json.loads(document)
    except (TypeError, ValueError):
        return None


def statements(document: Any) -> Statements:
    """The statements of a policy; none where it cannot be read."""
    policy = parsed(document)
    found = policy.get("Statement", []) if isinstance(policy, Mapping) else []
    return [found] if isinstance(found, Mapping) else list(found)


def items(value: Any) -> list[Any]:
    """IAM writes one thing or a list of things."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def principals(statement: Mapping[str, Any], kind: str) -> list[str]:
    principal = statement.get("Principal")
    return items(principal.get(kind)) if isinstance(principal, Mapping) else items(principal)


def allows(document: Any, kind: str, principal: str, action: str) -> bool:
    """Whether a policy that names principals lets one of them do something; conditions are not weighed."""
    return any(
        statement.get("Effect") == "Allow"
        and principal in principals(statement, kind)
        and any(fnmatchcase(action.lower(), pattern.lower()) for pattern in items(statement.get("Action")))
        for statement in statements(document)
    )


def trusts(role: Resource | None, service: str) -> bool:
    return role is not None and allows(role.inputs.get("assumeRolePolicy"), "Service", service, "sts:AssumeRole")


def trusted_by(path: str, service: str, words: str) -> Rule:
    """The role at `path`, where there is one, may be taken by a service of AWS."""

    def rule(request: ResourceRequest) -> str | None:
        arn = request.get(path)
        return None if arn is None or trusts(request.state.find(arn), service) else words.format(value=arn)

    return rule


def key_allows(request: ResourceRequest, arn: Any, kind: str, principal: str, action: str) -> bool:
    """Whether the policy of a key lets a principal use it that no IAM policy reaches."""
    key = request.state.find(str(arn))
    return key is not None and allows(key.inputs.get("policy"), kind, principal, action)


def exists(path: str, type_: str, words: str, field: str = "") -> Rule:
    """What is named at `path`, where something is, exists: by its ID, or by the input `field`."""

    def rule(request: ResourceRequest) -> str | None:
        name = request.get(path)
        known = (other.inputs.get(field) if field else other.id for other in request.state.all(type_))
        return None if name is None or name in known else words.format(value=name)

    return rule


def unique(paths: Collection[str], words: str) -> Rule:
    """No other resource of the type has the same values at all `paths`, for what has an ID beside its name.

    `{0}` in the words is the first of the values.
    """

    def rule(request: ResourceRequest) -> str | None:
        mine = [request.get(path) for path in paths]
        others = (other for other in request.state.all(request.type) if other.id != request.id)
        taken = any([other.inputs.get(path) for path in paths] == mine for other in others)
        return words.format(*mine) if taken and None not in mine else None

    return rule


def unused(type_: str, path: str, words: str) -> Rule:
    """When deleted: no resource of a type names this one at `path`."""

    def rule(request: ResourceRequest) -> str | None:
        users = [other.id for other in request.state.all(type_) if other.inputs.get(path) == request.id]
        return words.format(value=request.id, users=", ".join(users)) if users else None

    return rule


def found(request: ResourceRequest, path: str) -> list[Resource]:
    """The resources whose IDs or ARNs stand in the list at `path`."""
    references: Iterable[str] = request.get(path, [])
    return [record for record in map(request.state.find, references) if record is not None]


def zones(request: ResourceRequest, path: str) -> set[str]:
    """The availability zones of the subnets at `path`."""
    return {str(subnet.inputs.get("availabilityZone")) for subnet in found(request, path)}


def each(path: str, broken: Callable[[Any], bool], words: str) -> Rule:
    """No item of the list at `path` is broken; what is not known passes."""

    def rule(request: ResourceRequest) -> str | None:
        values = request.get(path, UNKNOWN)
        bad = [value for value in items(values) if value is not UNKNOWN and broken(value)]
        return words.format(value=bad[0]) if bad else None

    return rule


def is_json(path: str, words: str) -> Rule:
    def rule(request: ResourceRequest) -> str | None:
        return words if request.get(path) is not None and parsed(request.get(path)) is None else None

    return rule


def physical(request: ResourceRequest) -> str:
    """The name that the program gave it, where that is the ID."""
    return str(request.get("name"))


def arn(service: str, resource: str) -> str:
    """Template of an ARN in the simulated account's region."""
    return f"arn:aws:{service}:{{region}}:{{account}}:{resource}"
