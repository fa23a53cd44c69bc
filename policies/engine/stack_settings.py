"""Settings of a stack that extend the defaults of controls, so that one setting applies to the pack and the program.

When the engine starts a policy pack, it sends the stack's configuration as a program gets it. Source:
https://github.com/pulumi/pulumi/blob/v3.255.0/sdk/go/common/resource/plugin/analyzer_plugin.go (ConfigureStack)
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from policies.engine.control import Control, Setting

_NAMESPACE: Final = "groundwork"  # of the stack's settings


def extend_defaults(control: Control, configuration: Mapping[str, str]) -> Control:
    """The control with the defaults that a stack with this configuration has."""
    if not any(setting.extended_by for setting in control.settings.values()):
        return control
    return replace(
        control, settings={name: _extend(setting, configuration) for name, setting in control.settings.items()}
    )


def _extend(setting: Setting, configuration: Mapping[str, str]) -> Setting:
    if not setting.extended_by:
        return setting
    section, _, name = setting.extended_by.partition(".")
    return replace(setting, default=[*setting.default, *_read_list(configuration, section, name)])


def _read_list(configuration: Mapping[str, str], section: str, name: str) -> list[str]:
    """The strings of a list in the configuration. The program, not the pack, reports invalid values."""
    try:
        content = json.loads(configuration.get(f"{_NAMESPACE}:{section}", "{}"))
    except ValueError:
        return []
    values = content.get(name) if isinstance(content, dict) else None
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
