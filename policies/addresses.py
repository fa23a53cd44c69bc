"""Addresses and ports that several services' rules speak of."""

import ipaddress
from typing import Any

from policies.props import ABSENT, UNKNOWN, Props, Undecided, Verdicts, each, lookup

ADMIN_PORTS = (22, 3389)


def is_anywhere(address: Any) -> bool:
    """Whether an address range or tag means the whole Internet, be it in two or a few large pieces."""
    text = str(address).lower()
    if text in {"*", "any", "internet", "0.0.0.0", "::"}:  # noqa: S104 (an address to refuse, none to listen on)
        return True
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return network.prefixlen < 8 and not network.is_private


def has_admin_port(first: Any, last: Any) -> bool:
    """Whether a range of ports includes SSH or RDP. What is no number is no range that clouds accept."""
    try:
        return any(float(first) <= port <= float(last) for port in ADMIN_PORTS)
    except (TypeError, ValueError):
        return False


def narrow_ranges(props: Props, path: str) -> Verdicts:
    """A public API server answers some address ranges, and none that means the whole Internet."""
    if lookup(props, path) in (ABSENT, []):
        yield f"{path} is empty, so the public API server answers everyone"
    for where, address in each(props, f"{path}[]"):
        if address is UNKNOWN:
            yield Undecided(where)
        elif address is not ABSENT and is_anywhere(address):
            yield f"{where} lets the whole Internet in"
