"""The base class of components, and the stack that they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from infra.core.naming import Naming
from infra.core.settings import Settings


@dataclass(frozen=True)
class StackContext:
    """The settings of a stack, and the names and tags of its resources."""

    settings: Settings
    naming: Naming


class Component(pulumi.ComponentResource):
    """A component of the type `groundwork:<layer>:<Class>`; its children use `self.child_options()` as options.

    Logical names of children start with the component's name. Kubernetes objects and stored secrets are exceptions:
    their logical name is the name of the object or secret, which is unique in the cluster or the store.
    """

    layer: str

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"groundwork:{self.layer}:{type(self).__name__}", name, None, opts)

    def child_options(self, **options: Any) -> pulumi.ResourceOptions:
        """Resource options with this component as the parent."""
        return pulumi.ResourceOptions(parent=self, **options)

    def warn(self, message: str) -> None:
        """Print a warning, but only in a preview: each update starts with one, and would repeat the warning."""
        if pulumi.runtime.is_dry_run():
            pulumi.log.warn(message, self)
