"""Whether a mutant declares the same as the program: then nothing can notice it, and nobody has to judge it.

That is so where it leaves out what is the default of the API server, or of a chart.
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

# What decides on order, replacement and deletion. The dependencies have those of each property in them.
_OPTIONS = (
    *("aliases", "deleteBeforeReplace", "dependencies", "deletedWith", "ignoreChanges", "parent", "protect"),
    *("provider", "replaceOnChanges", "retainOnDelete", "customTimeouts"),
)


def describe(declared: Any, server: ApiServer) -> Mapping[str, str]:
    """All that a DeclaredStack declares, by its name, as text: objects of a cluster with the defaults of its server.

    A release counts with the objects that its chart renders, in place of its values.
    """
    recorder = declared.recorder
    found = {}
    for resource in recorder.resources:
        request = recorder.requests[resource.type, resource.name]
        options = {name: _plain(getattr(request, name)) for name in _OPTIONS}
        inputs = resource.inputs
        if resource.type.startswith("kubernetes:"):
            # The objects are below; not so what Pulumi or Helm does about them.
            kept = {key: value for key, value in inputs.items() if key not in ("values", "manifest")}
            inputs = kept if resource.type == RELEASE else {}
        found[f"{resource.type} {resource.name}"] = json.dumps([inputs, options], sort_keys=True, default=str)
    return {**found, **server.describe(declared.objects)}


def _plain(option: Any) -> Any:
    """Of a message of the protocol: lists without an order, and sections as text."""
    if isinstance(option, bool | str):
        return option
    return sorted(map(str, option)) if isinstance(option, Sequence) else str(option)


class _NotRandom:
    """In place of Python's `secrets`: the same with each declaration."""

    @staticmethod
    def choice(letters: Sequence[str]) -> str:
        return letters[0]

    SystemRandom = staticmethod(lambda: Random(0))  # noqa: S311 nothing is kept secret with it


@contextmanager
def same_secrets() -> Iterator[None]:
    """Generate the same secrets with each declaration while the context lasts, so that they can be compared."""
    with mock.patch.object(random_provider, "secrets", _NotRandom):
        yield
