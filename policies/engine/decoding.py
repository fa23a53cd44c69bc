"""What the engine sends of resources, decoded once for all policies: the SDK would do it anew for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf import json_format
from pulumi_policy.deserialize import deserialize_properties
from pulumi_policy.policy import PolicyResource
from pulumi_policy.proxy import unknown_checking_proxy

from policies.engine.pack import to_plain

# No control reads a resource's options.
NO_OPTIONS: Final[Any] = None


def read_properties(message: Any) -> Mapping[str, Any]:
    """Properties as controls read them: without the SDK's proxies, with UNKNOWN for what is not known."""
    decoded = deserialize_properties(json_format.MessageToDict(message))
    properties: Mapping[str, Any] = to_plain(unknown_checking_proxy(decoded))
    return properties


def read_resources(messages: Iterable[Any]) -> list[PolicyResource]:
    """All resources of a stack, each with those that its properties came from. Options and providers are left out."""
    sent = list(messages)
    found = {
        each.urn: PolicyResource(
            each.type, read_properties(each.properties), each.urn, each.name, NO_OPTIONS, None, None, [], {}
        )
        for each in sent
    }
    for each in sent:
        for name, dependency in each.propertyDependencies.items():
            known = [found[urn] for urn in dependency.urns if urn in found]
            found[each.urn].property_dependencies[name] = known
    return list(found.values())
