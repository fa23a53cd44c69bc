"""Types of values that several settings have, and the error for a value that breaks a rule."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

_RFC_1918 = tuple(ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def rule_error(rule: str, remedy: str) -> PydanticCustomError:
    """A validation error for a value that breaks `rule`; `remedy` tells the reader how to correct it."""
    return PydanticCustomError("groundwork", "{rule}", {"rule": rule, "remedy": remedy})


def _validate_network(value: str) -> str:
    try:
        block = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise rule_error(
            f"must be an IPv4 CIDR block ({error})", "write it like 10.20.0.0/16, with no host bits set"
        ) from None
    if not any(block.subnet_of(private) for private in _RFC_1918):
        raise rule_error("must be in a private range (RFC 1918)", "use a block of 10/8, 172.16/12 or 192.168/16")
    return str(block)


def _validate_authorized_range(value: str) -> str:
    try:
        block = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise rule_error(f"must be an IPv4 CIDR block ({error})", "write it like 203.0.113.0/24") from None
    if block.prefixlen < 8:
        raise rule_error(
            "opens the Kubernetes API to most of the internet",
            "list the ranges of your runners and operators, or leave the list empty for a private API",
        )
    return str(block)


Cidr = Annotated[str, AfterValidator(_validate_network)]
AuthorizedRange = Annotated[str, AfterValidator(_validate_authorized_range)]
