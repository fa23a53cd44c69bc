"""A pod in a custom resource, which an operator creates."""

from __future__ import annotations

from dataclasses import dataclass

from kernel.paths import Path
from policies.engine.findings import Props


@dataclass(frozen=True)
class CarriedPod:
    """A pod in a custom resource: `props` are its metadata and spec, `path` is where they are.

    Properties that an operator adds are elsewhere: see `policies.engine.partial`.
    """

    path: Path
    props: Props
