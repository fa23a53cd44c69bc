"""What every component of the house has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from infra.core.naming import Naming
from infra.core.settings import Settings


@dataclass(frozen=True)
class StackContext:
    """Where a component is built: the stack's settings and its names."""

    settings: Settings
    naming: Naming


class Component(pulumi.ComponentResource):
    """A component typed `groundwork:<layer>:<Class>`, whose children take `self.child_options()` as options."""

    layer: str

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"groundwork:{self.layer}:{type(self).__name__}", name, None, opts)

    def child_options(self, **options: Any) -> pulumi.ResourceOptions:
        """Options for a child of this component."""
        return pulumi.ResourceOptions(parent=self, **options)
