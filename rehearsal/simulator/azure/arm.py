"""Shared by all resources of Azure Resource Manager: IDs, resource groups, parents, locations and identities."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from kernel.values import UNKNOWN
from rehearsal.simulator.azure.defaults import auto_named, default_location
from rehearsal.simulator.core.one_writer import OneWriter
from rehearsal.simulator.core.remains import ByProduct, Tombstone, is_account_used
from rehearsal.simulator.core.resource_model import (
    Resource,
    ResourceModel,
    ResourceRequest,
    Rule,
    Template,
    Transition,
)
from rehearsal.simulator.core.transitions import get_change

# Azure creates this group, and a network watcher in it, for the first virtual network of a subscription in a location.
# Source: https://learn.microsoft.com/azure/network-watcher/network-watcher-create
WATCHER_GROUP = "NetworkWatcherRG"
_GROUP = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"


def arm_model(
    type_: str,
    path: str,
    *,
    transitions: Collection[Transition],
    parent: str = "",
    located: bool = False,
    stays_in_place: bool = False,
    identity: bool = False,
    outputs: Mapping[str, Template] | None = None,
    required: Collection[str] = (),
    replace_on_changes: Collection[str] = (),
    rules: Collection[Rule] = (),
    state_rules: Collection[Rule] = (),
    delete_rules: Collection[Rule] = (),
    notes: Collection[Rule] = (),
    tombstone: Tombstone | None = None,
    creation_by_products: Collection[ByProduct] = (),
    one_writer: OneWriter | None = None,
    is_never_updated: bool = False,
) -> ResourceModel:
    """The model of a resource type of Azure Resource Manager.

    path            the ID after `/providers/`, with names in braces: `Microsoft.Network/virtualNetworks/{name}`
    parent          path of the parent, if it is not `path` without its last two segments
    located         whether it has a location
    stays_in_place  whether the provider updates the location, which Azure refuses, instead of replacing the resource
    identity        whether it has user-assigned identities, whose principal and client IDs are outputs
    """
    steps = path.split("/")
    kind = "/".join([steps[0], *steps[1::2]])
    parent = parent or ("/".join(steps[:-2]) if len(steps) > 3 else "")
    common: dict[str, Template] = {"name": steps[-1], "type": lambda _: kind}
    if located:
        common["location"] = get_location
    if identity:
        common["identity"] = _build_identity
    return ResourceModel(
        f"azure-native:{type_}",
        id=f"{_GROUP}/providers/{path}",
        outputs={**common, **(outputs or {})},
        required=("resourceGroupName", *_list_placeholders(path), *required),
        defaults={**auto_named(path), **({"location": default_location} if located else {})},
        # The provider replaces a resource if a parameter of its ID changes, a property that the API's specification
        # allows only at creation (x-ms-mutability, nested ones too), or a property in its own table. Sources:
        # https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/provider/diff.go
        # https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/replacement.go
        # https://pulumi.com/registry/packages/azure-native/from-v2-to-v3
        replace_on_changes=(
            *_list_placeholders(path),
            "resourceGroupName",
            *(("location",) if located and not stays_in_place else ()),
            *replace_on_changes,
        ),
        transitions=(*((refuse_other_location,) if stays_in_place else ()), *transitions),
        stable_outputs=STABLE_OUTPUTS,
        rules=(*((require_location,) if located else ()), *rules),
        state_rules=(
            _require_registration(steps[0]),
            _require_group,
            *((_require_parent(kind, parent),) if parent else ()),
            *state_rules,
        ),
        delete_rules=delete_rules,
        notes=notes,
        tombstone=tombstone,
        creation_by_products=creation_by_products,
        one_writer=one_writer,
        is_never_updated=is_never_updated,
    )


def get_location(request: ResourceRequest) -> str:
    """A resource's location in Azure's normal form: `West Europe` becomes `westeurope`."""
    return _normalize_location(request.get("location", ""))


def _normalize_location(location: Any) -> str:
    return str(location).replace(" ", "").lower()


# The outputs that the provider's preview of an update knows; everything else that Azure computes is unknown.
# Source: https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/provider/provider.go (Update)
STABLE_OUTPUTS = ("name", "location")


def find_in_group(request: ResourceRequest, path: str) -> Resource | None:
    """A resource in the same resource group, found by its path with names in braces (see `arm_model`)."""
    return request.state.find(request.fill(f"{_GROUP}/providers/{path}"))


def _list_placeholders(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


# Source: https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/provider/provider.go (validateType)
def require_location(request: ResourceRequest) -> str | None:
    """The provider's check of a type that has a location."""
    if request.get("location"):
        return None
    return (
        "missing required property 'location'. Either set it explicitly or configure it with "
        "'pulumi config set azure-native:location <value>'."
    )


def accept_locations(kind: str, locations: Collection[str]) -> Rule:
    """The rule of a type that exists only in some locations; these are in Azure's normal form.

    Source of the message: https://github.com/MicrosoftDocs/azure-docs/issues/5156
    """

    def rule(request: ResourceRequest) -> str | None:
        location = request.get("location", UNKNOWN)
        if location is UNKNOWN or get_location(request) in locations:
            return None
        return (
            f"LocationNotAvailableForResourceType: The provided location '{location}' is not available for resource "
            f"type '{kind}'. List of available regions for the resource type is '{','.join(locations)}'."
        )

    return rule


# Source: https://github.com/pulumi/pulumi-azure-native/issues/3053
def refuse_other_location(request: ResourceRequest) -> str | None:
    """Azure's error about an update that changes the location."""
    change = get_change(request, "location")
    if change is None or None in change:
        return None
    old, new = map(_normalize_location, change)
    if old == new:
        return None
    name, group = request.id.rpartition("/")[2], request.get("resourceGroupName")
    return (
        f"InvalidResourceLocation: The resource '{name}' already exists in location '{old}' in resource group "
        f"'{group}'. A resource with the same name cannot be created in location '{new}'. Please select a new resource "
        "name."
    )


def _require_registration(namespace: str) -> Rule:
    """The subscription must have registered the resource provider; not checked if its registrations are unknown.

    Source: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-register-resource-provider
    """

    def rule(request: ResourceRequest) -> str | None:
        registered = request.circumstances.registered
        if registered is None or is_account_used(request) or namespace in registered:
            return None
        return (
            f"MissingSubscriptionRegistration: The subscription is not registered to use namespace '{namespace}'. See "
            "https://aka.ms/rps-not-found for how to register subscriptions."
        )

    return rule


# Source: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-not-found
def _require_group(request: ResourceRequest) -> str | None:
    if request.state.find(request.fill(_GROUP)):
        return None
    return request.fill("ResourceGroupNotFound: Resource group '{resourceGroupName}' could not be found.")


# Source: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-parent-resource
def _require_parent(kind: str, parent: str) -> Rule:
    def rule(request: ResourceRequest) -> str | None:
        if find_in_group(request, parent):
            return None
        return (
            f"ParentResourceNotFound: Failed to perform 'write' on resource(s) of type '{kind.partition('/')[2]}', "
            f"because the parent resource '{request.fill(_GROUP + '/providers/' + parent)}' could not be found."
        )

    return rule


def _build_identity(request: ResourceRequest) -> Mapping[str, Any]:
    requested: Mapping[str, Any] = request.get("identity", {})
    attached = {}
    for id_ in requested.get("userAssignedIdentities", ()):
        identity = request.state.find(id_)
        outputs = identity.outputs if identity else {}
        attached[id_] = {"principalId": outputs.get("principalId"), "clientId": outputs.get("clientId")}
    return {"type": requested.get("type", "None"), "userAssignedIdentities": attached}
