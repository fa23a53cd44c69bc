"""Whether a mutant declares the same as the program: if so, no check can notice it, and nobody has to review it.

This is the case if it leaves out a default of the API server or of a chart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any
from unittest import mock

from rehearsal.simulator import random_provider
from rehearsal.simulator.offline_kubernetes import RELEASE
from tests.mutation.api_server import ApiServer

# The options that affect order, replacement and deletion. The dependencies include those of each property.
_OPTIONS = (
    *("aliases", "deleteBeforeReplace", "dependencies", "deletedWith", "ignoreChanges", "parent", "protect"),
    *("provider", "replaceOnChanges", "retainOnDelete", "customTimeouts"),
)


def describe(declared: Any, server: ApiServer) -> Mapping[str, str]:
    """Everything that a DeclaredStack declares, as text, keyed by name. A cluster's objects have the server's defaults.

    A release is described by the objects that its chart renders instead of by its values.
    """
    recorder = declared.recorder
    found = {}
    for resource in recorder.resources:
        request = recorder.requests[resource.type, resource.name]
        options = {name: _plain(getattr(request, name)) for name in _OPTIONS}
        inputs = resource.inputs
        if resource.type.startswith("kubernetes:"):
            # The objects are added below, in contrast to the options of Pulumi and Helm.
            kept = {key: value for key, value in inputs.items() if key not in ("values", "manifest")}
            inputs = kept if resource.type == RELEASE else {}
        found[f"{resource.type} {resource.name}"] = json.dumps([inputs, options], sort_keys=True, default=str)
    return {**found, **server.describe(declared.objects)}


def _plain(option: Any) -> Any:
    """An option in the protocol's message as a plain value: lists without an order, and sections as text."""
    if isinstance(option, bool | str):
        return option
    return sorted(map(str, option)) if isinstance(option, Sequence) else str(option)


class _NotRandom:
    """Replaces Python's `secrets` with the same values for each declaration."""

    @staticmethod
    def choice(letters: Sequence[str]) -> str:
        return letters[0]

    SystemRandom = staticmethod(lambda: Random(0))  # noqa: S311 nothing is kept secret with it


@contextmanager
def same_secrets() -> Iterator[None]:
    """Generate the same secrets for each declaration while the context lasts, so that declarations can be compared."""
    with mock.patch.object(random_provider, "secrets", _NotRandom):
        yield
