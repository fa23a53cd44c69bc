"""What every component of the house has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from infra.naming import Naming
from infra.settings import Settings


@dataclass(frozen=True)
class Site:
    """Where a component is built: the stack's settings and its names."""

    settings: Settings
    naming: Naming


class Component(pulumi.ComponentResource):
    """A component typed `groundwork:<layer>:<Class>`, whose children take `self.child` as options."""

    layer: str

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"groundwork:{self.layer}:{type(self).__name__}", name, None, opts)

    def child(self, **options: Any) -> pulumi.ResourceOptions:
        """Options for a child of this component."""
        return pulumi.ResourceOptions(parent=self, **options)

    def finish(self, outputs: Mapping[str, Any]) -> None:
        """Tell the engine that all children are declared."""
        self.register_outputs(dict(outputs))
