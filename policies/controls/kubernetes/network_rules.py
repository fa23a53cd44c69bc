"""The connections that rules of network policies allow."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kernel.paths import each_value, look_up
from kernel.values import ABSENT, UNKNOWN, as_list
from policies.controls.addresses import is_whole_internet
from policies.engine.findings import Props

_LAST_PORT: Final = 65535


def find_open_rules(policy: Props) -> Iterator[str]:
    """The paths of a policy's rules that allow every connection. A value that is not known yet counts as a limit."""
    for where, rule in each_value(policy, "spec.ingress[*]"):
        if rule is not UNKNOWN and rule is not ABSENT and admits_everything(rule):
            yield where


def admits_everything(rule: Any) -> bool:
    return not _limits_sources(rule) and not _limits_ports(rule)


def _limits_sources(rule: Any) -> bool:
    sources = as_list(look_up(rule, "from"))
    return bool(sources) and all(map(_is_limited_source, sources))


def _is_limited_source(source: Any) -> bool:
    if not isinstance(source, Mapping):
        return source is UNKNOWN
    if look_up(source, "ipBlock") is not ABSENT:
        block = look_up(source, "ipBlock.cidr")
        return block is UNKNOWN or (isinstance(block, str) and block != "" and not is_whole_internet(block))
    return any(isinstance(source.get(key), Mapping) for key in ("podSelector", "namespaceSelector"))


def _limits_ports(rule: Any) -> bool:
    ports = as_list(look_up(rule, "ports"))
    return bool(ports) and all(map(_is_limited_port, ports))


def _is_limited_port(port: Any) -> bool:
    if not isinstance(port, Mapping):
        return port is UNKNOWN
    first, last = look_up(port, "port"), look_up(port, "endPort")
    if not isinstance(first, int | float | str) or isinstance(first, bool) or first == "":
        return first is UNKNOWN
    is_every = isinstance(last, int | float) and last >= _LAST_PORT and first in (0, 1)
    return not is_every
