"""Network addresses and ports, for controls of both clouds."""

import ipaddress
from typing import Any

from kernel.paths import look_up
from kernel.values import as_list
from policies.engine.expectations import check_each
from policies.engine.findings import Findings, Props

ADMIN_PORTS = (22, 3389)  # SSH and RDP
_WIDEST_RANGE = 2**24  # addresses, as many as a /8 has


def is_whole_internet(address: Any) -> bool:
    """Whether an address range or tag is the whole Internet, or so large that a few such ranges cover it."""
    text = str(address).lower()
    if text in {"*", "any", "internet", "0.0.0.0", "::"}:  # noqa: S104 (refused, not listened on)
        return True
    if text.partition(".")[0] == "azurecloud":  # the addresses of all of Azure's customers, or those in a region
        return True
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return network.prefixlen < 8 and not network.is_private


def is_range(address: Any) -> bool:
    """Whether a value is an address or a range of addresses."""
    try:
        ipaddress.ip_network(address if isinstance(address, str) else "", strict=False)
    except ValueError:
        return False
    return True


def is_wide_range(first: Any, last: Any) -> bool:
    """Whether a range of addresses is larger than a network that one organization owns."""
    try:
        start, end = ipaddress.IPv4Address(str(first)), ipaddress.IPv4Address(str(last))
    except ValueError:
        return False
    return int(end) - int(start) >= _WIDEST_RANGE and not (start.is_private and end.is_private)


def has_port(first: Any, last: Any, port: int) -> bool:
    """Whether a range of ports includes a port. Clouds reject ranges that are not numbers."""
    try:
        return float(first) <= port <= float(last)
    except (TypeError, ValueError):
        return False


def has_admin_port(first: Any, last: Any) -> bool:
    """Whether a range of ports includes SSH or RDP."""
    return any(has_port(first, last, port) for port in ADMIN_PORTS)


def expect_narrow_ranges(props: Props, path: str) -> Findings:
    """Require address ranges at `path` that limit access to a public API server, and none that allows everyone."""

    def check(where: str, address: Any) -> Findings:
        if not is_range(address):
            yield f"{where} must be an address range"
        elif is_whole_internet(address):
            yield f"{where} must not allow the whole Internet"

    listed = look_up(props, path)
    if not as_list(listed):
        yield f"{path} must list address ranges, otherwise the public API server accepts connections from anywhere"
    yield from check_each(props, f"{path}[*]", check)
