"""Proxy variables: connections to this machine never use a proxy."""

from __future__ import annotations

from collections.abc import Mapping

_VARIABLES = ("no_proxy", "NO_PROXY")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def loopback_exemptions(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that exempt this machine from the proxies of an environment, in addition to existing exemptions.

    gRPC and Python's HTTP clients send even loopback traffic to a proxy that the environment sets. Some read the
    variable in lower case and some in upper case.
    """
    exempt = ",".join(environment.get(name, "") for name in _VARIABLES).split(",")
    hosts = dict.fromkeys(host.strip() for host in (*exempt, *_LOOPBACK) if host.strip())
    return dict.fromkeys(_VARIABLES, ",".join(hosts))
