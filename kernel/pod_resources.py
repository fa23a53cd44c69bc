"""The resources that pods request from nodes, parsed and summed as Kubernetes does. Amounts are exact fractions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

ResourceAmounts: TypeAlias = Mapping[str, Fraction]
"""Amounts, keyed by the name of the resource in Kubernetes: cpu, memory, pods, nvidia.com/gpu."""

_NONE = Fraction(0)

# Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(\d+\.?\d*|\.\d+))((?P<suffix>[KMGTPE]i|[numkMGTPE])|[eE](?P<exponent>[+-]?\d+))?"
)
_SUFFIXES: Mapping[str, Fraction] = {
    **{f"{letter}i": Fraction(1024**power) for power, letter in enumerate("KMGTPE", 1)},
    **{letter: Fraction(1000**power) for power, letter in enumerate("kMGTPE", 1)},
    **{letter: Fraction(1, 1000**power) for power, letter in enumerate("mun", 1)},
}


def parse_quantity(text: str | float) -> Fraction:
    """Parse a Kubernetes quantity: `100m`, `1.5Gi`, `12e6`. Raises ValueError if it is not one."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(
            f"{text!r} is not a quantity: write a number, then a suffix such as m, k, M, Gi, or an exponent such as e3"
        )
    scale = Fraction(10) ** int(match["exponent"] or 0)
    return Fraction(match["number"]) * scale * _SUFFIXES.get(match["suffix"], Fraction(1))


def pod_requests(pod: Mapping[str, Any]) -> ResourceAmounts:
    """The amounts that the scheduler reserves for a pod.

    This is the sum over containers and sidecars (init containers that are always restarted) or, if it is larger, the
    largest sum over an init container and the sidecars before it; plus the overhead of the runtime class.
    Source: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
    """
    spec = pod["spec"]
    sidecars: ResourceAmounts = {}
    peak: ResourceAmounts = {}
    for container in spec.get("initContainers", ()):
        current = sum_amounts([sidecars, container_requests(container)])
        peak = _maximum(peak, current)
        if container.get("restartPolicy") == "Always":
            sidecars = current
    running = sum_amounts([sidecars, *map(container_requests, spec["containers"])])
    return sum_amounts([_maximum(peak, running), parse_amounts(spec.get("overhead", {}))])


def container_requests(container: Mapping[str, Any]) -> ResourceAmounts:
    """The amounts that one container requests."""
    return parse_amounts(container.get("resources", {}).get("requests", {}))


def parse_amounts(resources: Mapping[str, str]) -> ResourceAmounts:
    """Parse quantities that are keyed by resource. Raises ValueError if one is not a quantity."""
    return {name: parse_quantity(amount) for name, amount in resources.items()}


def sum_amounts(amounts: Iterable[ResourceAmounts]) -> ResourceAmounts:
    """The sum of amounts, per resource."""
    total: dict[str, Fraction] = {}
    for summand in amounts:
        for name, amount in summand.items():
            total[name] = total.get(name, _NONE) + amount
    return total


def _maximum(one: ResourceAmounts, other: ResourceAmounts) -> ResourceAmounts:
    return {name: max(one.get(name, _NONE), other.get(name, _NONE)) for name in {*one, *other}}
