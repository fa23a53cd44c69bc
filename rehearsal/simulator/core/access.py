"""Who can reach a service of the simulated clouds, and from where: the data plane beside the management plane.

A cloud's management API is public, and the deploying identity has the roles that it requires. Reaching the services
that it creates is separate: the declared network has to admit the caller's address, and the declared access entries
and roles have to grant access.
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
class ServiceAccess:
    """Whether the caller can reach a service of the simulated clouds.

    service   what it is: `Kubernetes API`, `vault`, `database`, `registry`
    resource  its name in the cloud
    refusal   why the caller has no access, with the remedy; empty if it has access
    """

    service: str
    resource: str
    refusal: str = ""


def is_private(address: str) -> bool:
    """Whether an address is private. The empty address stands for the stack's own network, and is private."""
    return not address or any(ipaddress.IPv4Address(address) in block for block in _PRIVATE)


def admits(blocks: Iterable[Any], address: str) -> bool:
    """Whether any of the blocks contains the address. Entries that are not IPv4 blocks, such as tags, are ignored."""
    return any(ipaddress.IPv4Address(address) in block for block in filter(None, map(_parse_block, blocks)))


def _parse_block(text: Any) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(EVERYWHERE if text in ("*", "Internet") else text)
    except ValueError:
        return None
