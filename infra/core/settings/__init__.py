"""Stack settings: types, bounds and defaults.

This package is the only place that defines them; a stack file contains only what differs from the defaults. All invalid
settings of a stack are reported together, before any resource is declared: each with its value, the rule that it
breaks and the remedy.
"""

from infra.core.settings.clouds import Cloud, Environment
from infra.core.settings.sections import NodePoolSettings
from infra.core.settings.service_sections import GitopsSettings, SsoSettings
from infra.core.settings.stack_settings import Settings

__all__ = ["Cloud", "Environment", "GitopsSettings", "NodePoolSettings", "Settings", "SsoSettings"]
