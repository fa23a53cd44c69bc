"""Checks that resources use the stack's own providers.

A resource without a provider is created wherever the environment of the deploying machine points to, which may be
another account, region or cluster.
Source: https://www.pulumi.com/docs/iac/concepts/resources/providers/#default-providers
"""

from __future__ import annotations

from collections.abc import Iterator

from rehearsal.kubernetes.readiness.problem import Problem
from rehearsal.wiring.declared import Graph

_PROVIDER = "pulumi:providers:"
_DEFAULT = "default"
_NO_CONFIGURATION = {"version", "pluginDownloadURL"}


def find_problems(graph: Graph) -> Iterator[Problem]:
    """Resources that use a default provider without configuration although the stack has its own provider."""
    own = {declared.package for declared in graph if declared.provider}
    configured = {
        declared.type.removeprefix(_PROVIDER)
        for declared in graph
        if declared.type.startswith(_PROVIDER)
        and declared.name.startswith(_DEFAULT)
        and set(declared.inputs) - _NO_CONFIGURATION
    }
    for declared in graph:
        if declared.package in own - configured and not declared.provider:
            reason = f"it uses Pulumi's default provider of {declared.package}, while others use the stack's own"
            yield Problem(declared.label, reason, "pass it the options of its parent")
