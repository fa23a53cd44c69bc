"""Checks whether this machine can reach the Kubernetes API, through which a deployment installs the platform."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from deploy.findings import Finding, missing, note, ok
from infra.core.settings import Settings
from infra.core.settings.limits import DOCUMENTATION_BLOCKS

_SUBJECT = "way in"


def check_way_in(settings: Settings, source: str) -> Finding:
    """Check the way into the Kubernetes API that the settings declare, for the address `source` of this machine.

    Only the network itself knows whether a way exists, so a doubt is a note; example addresses, which nobody has, are
    reported as missing.
    """
    cluster = settings.cluster
    examples = list_examples(cluster.authorized_ranges)
    if examples:
        return missing(
            _SUBJECT,
            f"cluster.authorizedRanges has {', '.join(examples)}, an example address that nobody has",
            "list the public addresses of your runners and operators",
        )
    if cluster.authorized_ranges:
        return ok(_SUBJECT, f"the Kubernetes API is public to {', '.join(cluster.authorized_ranges)}")
    allowed = [ipaddress.IPv4Network(text) for text in (*cluster.private_access_from, settings.network.cidr)]
    if source and _is_in(ipaddress.IPv4Network(source), allowed):
        return ok(_SUBJECT, f"the Kubernetes API is private, and this machine's address {source} may reach it")
    return note(
        _SUBJECT,
        f"the Kubernetes API is private to {', '.join(map(str, allowed))}, and this machine's address is "
        f"{source or 'unknown'}",
        "deploy from a machine in one of these networks, unless this one has another address there",
    )


def list_examples(ranges: Iterable[str]) -> list[str]:
    """The ranges that are reserved for documentation."""
    return [text for text in ranges if _is_in(ipaddress.IPv4Network(text), DOCUMENTATION_BLOCKS)]


def find_source_address(settings: Settings) -> str:
    """The source address that this machine would use to reach the stack's network; empty if it has no route."""
    network = ipaddress.IPv4Network(settings.network.cidr)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(network[1]), 443))  # a datagram socket: nothing is sent
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def _is_in(block: ipaddress.IPv4Network, blocks: Iterable[ipaddress.IPv4Network]) -> bool:
    return any(block.subnet_of(other) for other in blocks)
