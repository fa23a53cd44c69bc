"""The platform on the sample foundation, or parts of it, as the program declares them. Proves nothing.

For unit tests alone: what a recording has of charts depends on whether they can be rendered, and those render none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pulumi

from infra import cluster
from infra.cluster.namespaces import SERVICE_PROFILES, Namespaces, NamespacesArgs
from infra.contract import Foundation
from tests.support.foundations import sample_foundation
from tests.support.recording import Recorder, record_program, stack_context


@cache
def record_platform(environment: str = "dev") -> Recorder:
    """The platform of a stack on Azure with the smallest settings, recorded once in a process: it is for reading."""
    context = stack_context("azure", environment)
    return record_program(lambda: cluster.create_platform(context, sample_foundation()))[0]


def record_components(declare: Callable[[Foundation, pulumi.ResourceOptions], object]) -> Recorder:
    """The components that `declare` creates, after their namespaces; a tenth of the time that the platform takes."""

    def program() -> None:
        foundation = sample_foundation()
        namespaces = Namespaces("namespaces", NamespacesArgs(foundation.identities, SERVICE_PROFILES))
        declare(foundation, pulumi.ResourceOptions(depends_on=[namespaces]))

    return record_program(program)[0]
