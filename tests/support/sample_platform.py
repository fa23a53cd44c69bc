"""The platform on the sample foundation, or parts of it, as the program declares them. Proves nothing.

Only for unit tests, which render no charts: otherwise a recording depends on the charts that are available.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi

from infra import cluster
from infra.cluster.namespaces import PROFILES, Namespaces, NamespacesArgs
from infra.contract import Foundation
from tests.support.foundations import sample_foundation
from tests.support.recording import Recorder, record_program, stack_context

_recorded: dict[str, Recorder] = {}


def record_platform(environment: str = "dev", cloud: str = "azure", **settings: Any) -> Recorder:
    """The platform of a stack, recorded once in a process for the same settings; callers must not change it."""
    context = stack_context(cloud, environment, **settings)
    key = f"{context.naming.stack} {context.settings.model_dump_json()}"
    if key not in _recorded:
        _recorded[key] = record_program(lambda: cluster.create_platform(context, sample_foundation()))[0]
    return _recorded[key]


def record_components(declare: Callable[[Foundation, pulumi.ResourceOptions], object]) -> Recorder:
    """Record the components that `declare` creates, after their namespaces, in a tenth of the whole platform's time."""

    def program() -> None:
        foundation = sample_foundation()
        namespaces = Namespaces("namespaces", NamespacesArgs(foundation.identities, PROFILES))
        declare(foundation, pulumi.ResourceOptions(depends_on=[namespaces]))

    return record_program(program)[0]
