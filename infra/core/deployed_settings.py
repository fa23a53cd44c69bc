"""What the next deployment is compared with, see infra/core/settings/changes.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

from infra.core.component import Component, StackContext
from kernel.deployed_settings import OUTPUT


class DeployedSettings(Component):
    """Keeps the stack's settings in its state. As a component's output, they are not printed with the stack's.

    after  outputs of the deployment: until all are known, the state keeps the settings of the last one
    """

    layer = "core"

    def __init__(self, context: StackContext, after: Sequence[pulumi.Input[Any]]) -> None:
        super().__init__(OUTPUT)
        settings = context.settings.dump()
        # One of the outputs is secret, the settings are not.
        self.register_outputs({OUTPUT: pulumi.Output.unsecret(pulumi.Output.all(*after)).apply(lambda _: settings)})
