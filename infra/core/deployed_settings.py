"""The settings that the next deployment is compared with; see infra/core/settings/changes.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

from infra.core.component import Component, StackContext
from kernel.deployed_settings import OUTPUT


class DeployedSettings(Component):
    """Stores the stack's settings in its state, as an output of a component, which is not printed like the stack's.

    after  outputs of the deployment: until all of them are known, the state has the settings of the previous one
    """

    layer = "core"

    def __init__(self, context: StackContext, after: Sequence[pulumi.Input[Any]]) -> None:
        super().__init__(OUTPUT)
        settings = context.settings.dump()
        # One of the outputs is secret, but the settings are not.
        self.register_outputs({OUTPUT: pulumi.Output.unsecret(pulumi.Output.all(*after)).apply(lambda _: settings)})
