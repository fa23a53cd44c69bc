"""Who gets to a service of the simulated clouds, and from where: the second plane beside that of management.

A cloud's API of management is public and asks for roles that whoever deploys has. What it creates is reached by other
ways: by addresses that the declared network admits, and with access that the declared entries and roles give.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# Source: https://www.rfc-editor.org/rfc/rfc1918
_PRIVATE = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
EVERYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class Door:
    """A service as its caller finds it.

    service   what it is: `Kubernetes API`, `vault`, `database`, `registry`
    resource  its name in the cloud
    refusal   why the caller does not get in, with the remedy; empty where it does
    """

    service: str
    resource: str
    refusal: str = ""


def is_private(address: str) -> bool:
    """Whether an address is of a private network; one inside the stack's own network has none, and is private."""
    return not address or any(ipaddress.IPv4Address(address) in block for block in _PRIVATE)


def admits(blocks: Iterable[Any], address: str) -> bool:
    """Whether one of some address blocks contains an address; what is no block of IPv4, such as a tag, does not."""
    return any(ipaddress.IPv4Address(address) in block for block in filter(None, map(_parse_block, blocks)))


def _parse_block(text: Any) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(EVERYWHERE if text in ("*", "Internet") else text)
    except ValueError:
        return None
