"""Inputs that the `azure-native` provider fills in if a program does not set them: names and locations.

Source: getDefaultName and getDefaultLocation in
https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/provider/provider.go, and AutoNamer in
https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/resources/resources.go
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kernel.values import UNKNOWN
from rehearsal.simulator.core.naming import AutonamingMode
from rehearsal.simulator.core.resource_model import Default, ResourceRequest

_DIGITS = 8
_GUIDS = ("roleAssignmentName", "roleDefinitionId")


def auto_named(path: str) -> Mapping[str, Default]:
    """The default of the name at the end of a resource's path; empty if the path ends in a fixed name.

    The name of a top-level resource gets eight hexadecimal digits; the name of a child resource is the logical name.
    """
    match = re.search(r"\{(\w+)\}$", path)
    if match is None:
        return {}
    name = match[1]
    own_path = re.split("microsoft\\.", path, flags=re.IGNORECASE)
    is_child = len(own_path) > 1 and own_path[-1].count("{") > 1

    def fill_name(request: ResourceRequest, old: Mapping[str, Any]) -> Any:
        hints = request.hints
        if old.get(name) is not None or hints.mode is AutonamingMode.DISABLE:
            return old.get(name)
        is_guid = name in _GUIDS
        if hints.mode is AutonamingMode.ENFORCE or (hints.mode is AutonamingMode.PROPOSE and not is_guid):
            return hints.proposed
        digits = hints.hex(32, otherwise=request.hex(32, "name"))
        if is_guid:
            return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        return request.name if is_child else f"{request.name}{digits[:_DIGITS]}"

    return {name: fill_name}


def default_location(request: ResourceRequest, old: Mapping[str, Any]) -> Any:
    """The existing location, or else the provider's, or else the resource group's."""
    configured = old.get("location") or request.account.get("location")
    group = request.get("resourceGroupName")
    if configured or not isinstance(group, str):
        return configured or (UNKNOWN if group is UNKNOWN else None)
    found = request.state.find(f"/subscriptions/{request.account['subscriptionId']}/resourceGroups/{group}")
    return found.outputs.get("location") if found else None
