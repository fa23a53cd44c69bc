"""Decodes the resources that the engine sends into plain dicts and lists, with UNKNOWN for values that are not known.

The pack's servicer decodes a resource once for all policies. The SDK decodes it for each policy, into proxies that
raise an error when an unknown value is read; tests and other servers pass those to the same controls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from google.protobuf import json_format
from pulumi_policy import StackValidationArgs
from pulumi_policy.deserialize import SPECIAL_SECRET_SIG, SPECIAL_SIG_KEY, deserialize_properties
from pulumi_policy.proxy import UnknownValueError, _is_unknown

from kernel.values import UNKNOWN
from policies.engine.stack import Resource, Stack

_UNKNOWN_LENGTH: Final = 36  # of the UUIDs that represent unknown values; most strings have another length


class DecodedStack(StackValidationArgs):
    """All resources of a stack, decoded once, for one policy."""

    def __init__(self, stack: Stack, settings: Mapping[str, Any] | None) -> None:
        super().__init__([], settings)
        self.stack = stack


def read_properties(message: Any) -> dict[str, Any]:
    """The properties in a protobuf Struct, with secrets in plain text."""
    fields = message.fields
    return {key: _read(fields[key]) for key in fields}


def read_resources(messages: Iterable[Any]) -> list[Resource]:
    """All resources of a stack, each with the URNs of the resources that its properties depend on."""
    resources = list(messages)
    known = {each.urn for each in resources}
    return [
        Resource(
            each.type,
            each.name,
            each.urn,
            read_properties(each.properties),
            {
                name: [urn for urn in dependency.urns if urn in known]
                for name, dependency in each.propertyDependencies.items()
            },
        )
        for each in resources
    ]


def read_stack(args: StackValidationArgs) -> Stack:
    """The resources in the arguments of a policy over a stack, from this pack's servicer or another server."""
    if isinstance(args, DecodedStack):
        return args.stack
    return [
        Resource(
            each.resource_type,
            each.name,
            each.urn,
            to_plain(each.props),
            {name: [other.urn for other in others] for name, others in each.property_dependencies.items()},
        )
        for each in args.resources
    ]


def to_plain(value: Any) -> Any:
    """The SDK's proxies as dicts and lists, with UNKNOWN for every value that would raise an error when read.

    A dict is not a proxy, and is plain already.
    """
    if isinstance(value, dict):
        return value
    if isinstance(value, Mapping):
        return {key: _read_proxy(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_read_proxy(value, index) for index in range(len(value))]
    return UNKNOWN if _is_unknown(value) else value


def _read_proxy(container: Any, key: Any) -> Any:
    try:
        return to_plain(container[key])
    except UnknownValueError:
        return UNKNOWN


def _read(value: Any) -> Any:
    """A protobuf Value. Fields are read directly, because json_format takes three times as long (measured)."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text = value.string_value
        return UNKNOWN if len(text) == _UNKNOWN_LENGTH and _is_unknown(text) else text
    if kind == "struct_value":
        return _read_object(value.struct_value)
    if kind == "list_value":
        return [_read(each) for each in value.list_value.values]
    return None if kind in ("null_value", None) else getattr(value, kind)


def _read_object(message: Any) -> Any:
    fields = message.fields
    if SPECIAL_SIG_KEY not in fields:
        return read_properties(message)
    if fields[SPECIAL_SIG_KEY].string_value == SPECIAL_SECRET_SIG and "value" in fields:
        return _read(fields["value"])
    # Assets and archives, which are the SDK's objects.
    return deserialize_properties({"": json_format.MessageToDict(message)})[""]
