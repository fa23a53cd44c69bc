"""What all of Azure's resources share: IDs made of names, groups, parents, locations, identities, references."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from rehearsal.simulator.core.resource_model import Resource, ResourceModel, ResourceRequest, Rule, Template
from rehearsal.simulator.core.values import UNKNOWN

# Azure makes this group and a watcher in it by itself, where a subscription has a network.
WATCHER_GROUP = "NetworkWatcherRG"
_GROUP = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
# Children that are there as soon as their parent is, without being created.
_IMPLICIT = re.compile(r"/sqlRoleDefinitions/[^/]+$", re.IGNORECASE)
_KEY = re.compile(r"(https://[a-z0-9-]+\.vault\.azure\.net/keys/[^/]+)(/[^/]+)?")


def arm(
    type_: str,
    path: str,
    *,
    parent: str = "",
    located: bool = False,
    identity: bool = False,
    outputs: Mapping[str, Template] | None = None,
    required: Collection[str] = (),
    replace_on_changes: Collection[str] = (),
    rules: Collection[Rule] = (),
    state_rules: Collection[Rule] = (),
    delete_rules: Collection[Rule] = (),
) -> ResourceModel:
    """A type of Azure Resource Manager.

    path      what follows `/providers/` in the ID, names in braces: `Microsoft.Network/virtualNetworks/{name}`
    parent    path of the parent, where it is not the path without its last two steps
    located   it has a location, its own or the provider's
    identity  it carries user-assigned identities, and Azure says in its answer who they are
    """
    steps = path.split("/")
    kind = "/".join([steps[0], *steps[1::2]])
    parent = parent or ("/".join(steps[:-2]) if len(steps) > 3 else "")
    common: dict[str, Template] = {"name": steps[-1], "type": lambda _: kind}
    if located:
        common["location"] = location
    if identity:
        common["identity"] = _identity
    return ResourceModel(
        f"azure-native:{type_}",
        id=f"{_GROUP}/providers/{path}",
        outputs={**common, **(outputs or {})},
        required=("resourceGroupName", *required),
        replace_on_changes=(
            *_names(path),
            "resourceGroupName",
            *(("location",) if located else ()),
            *replace_on_changes,
        ),
        rules=(*((_has_location,) if located else ()), *rules),
        state_rules=(_group_exists, *((_parent_exists(kind, parent),) if parent else ()), *state_rules),
        delete_rules=delete_rules,
    )


def location(request: ResourceRequest) -> str:
    """Where a resource is: in its own location, or the provider's. Azure takes `West Europe` for `westeurope`."""
    value = request.get("location") or request.account.get("location", "")
    return str(value).replace(" ", "").lower()


def sibling(request: ResourceRequest, path: str) -> Resource | None:
    """A resource in the request's group, by its path with names in braces."""
    return request.state.find(request.fill(f"{_GROUP}/providers/{path}"))


def block(value: Any) -> ipaddress.IPv4Network | None:
    """The address block that a value says, None when it says none or is not known."""
    try:
        return ipaddress.IPv4Network(value) if isinstance(value, str) else None
    except ValueError:
        return None


def items(request: ResourceRequest, path: str) -> Iterator[Mapping[str, Any]]:
    """The objects in the list at `path`; what a preview does not know is passed over."""
    value = request.get(path, [])
    for item in value if isinstance(value, list) else []:
        if isinstance(item, Mapping):
            yield item


def find_missing_reference(request: ResourceRequest, value: str) -> str | None:
    """Azure's refusal of a resource ID, or a key's address, that leads nowhere."""
    key = _KEY.fullmatch(value)
    if key:
        return _missing_key(request, key.group(1))
    start, _, rest = value.partition("/providers/")
    if not value.lower().startswith("/subscriptions/") or rest.startswith("Microsoft.Authorization/roleDefinitions/"):
        return None
    subscription = start.split("/")[2]
    if subscription.lower() != request.account["subscriptionId"].lower():
        return f"SubscriptionNotFound: The subscription '{subscription}' could not be found."
    if request.state.find(_IMPLICIT.sub("", value)) or f"/{WATCHER_GROUP}/".lower() in value.lower():
        return None
    if request.type.startswith("azure-native:network:"):
        return (
            f"InvalidResourceReference: Resource {value} referenced by resource {request.name} was not found. Please "
            "make sure that the referenced resource exists, and that both resources are in the same region."
        )
    return f"ResourceNotFound: The Resource '{rest or start}' was not found."


def _missing_key(request: ResourceRequest, address: str) -> str | None:
    keys = request.state.all("azure-native:keyvault:Key")
    if any(key.outputs.get("keyUri") == address for key in keys):
        return None
    name = address.rsplit("/", 1)[-1]
    return f"KeyNotFound: A key with (name/id) {name} was not found in this key vault."


def _names(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def _has_location(request: ResourceRequest) -> str | None:
    if request.get("location") is UNKNOWN or location(request):
        return None
    return "LocationRequired: The location property is required for this definition."


def _group_exists(request: ResourceRequest) -> str | None:
    if request.get("resourceGroupName") == WATCHER_GROUP or request.state.find(request.fill(_GROUP)):
        return None
    return request.fill("ResourceGroupNotFound: Resource group '{resourceGroupName}' could not be found.")


def _parent_exists(kind: str, parent: str) -> Rule:
    def rule(request: ResourceRequest) -> str | None:
        if request.get("resourceGroupName") == WATCHER_GROUP or sibling(request, parent):
            return None
        return (
            f"ParentResourceNotFound: Failed to perform 'write' on resource(s) of type '{kind.partition('/')[2]}', "
            f"because the parent resource '{request.fill(_GROUP + '/providers/' + parent)}' could not be found."
        )

    return rule


def _identity(request: ResourceRequest) -> Mapping[str, Any]:
    asked: Mapping[str, Any] = request.get("identity", {})
    attached = {}
    for id_ in asked.get("userAssignedIdentities", ()):
        found = request.state.find(id_)
        known = found.outputs if found else {}
        attached[id_] = {"principalId": known.get("principalId"), "clientId": known.get("clientId")}
    return {"type": asked.get("type", "None"), "userAssignedIdentities": attached}
