"""Azure's errors about resource IDs and key URLs that do not exist."""

from __future__ import annotations

import re

from rehearsal.simulator.azure.network import PEERING
from rehearsal.simulator.core.resource_model import ResourceRequest

# Children that exist as soon as their parent does, without a separate request.
_IMPLICIT_CHILD = re.compile(r"/sqlRoleDefinitions/[^/]+$", re.IGNORECASE)
# The path of a database or a container in Cosmos DB's own roles, which differs from its path as a resource.
# Source: https://learn.microsoft.com/azure/cosmos-db/nosql/reference-data-plane-security
_DATA_PATH = re.compile(r"(/databaseAccounts/[^/]+)/dbs/([^/]+)(?:/colls/([^/]+))?$", re.IGNORECASE)
_KEY_URL = re.compile(r"(https://[a-z0-9-]+\.vault\.azure\.net/keys/[^/]+)(/[^/]+)?")


def find_missing_reference(request: ResourceRequest, value: str) -> str | None:
    """Azure's error if a value is a resource ID or a key's URL, and no such resource exists; otherwise None."""
    key = _KEY_URL.fullmatch(value)
    if key:
        return _find_missing_key(request, key.group(1))
    scope, _, rest = value.partition("/providers/")
    if not value.lower().startswith("/subscriptions/") or rest.startswith("Microsoft.Authorization/roleDefinitions/"):
        return None
    if request.type == PEERING:
        return None  # the other network has another owner, and may be in another subscription
    subscription = scope.split("/")[2]
    if subscription.lower() != request.account["subscriptionId"].lower():
        return f"SubscriptionNotFound: The subscription '{subscription}' could not be found."
    if value.count("/") == 2:
        return None  # the subscription itself
    if request.state.find(_DATA_PATH.sub(_name_resource, _IMPLICIT_CHILD.sub("", value))):
        return None
    if request.type.startswith("azure-native:network:"):
        return (
            f"InvalidResourceReference: Resource {value} referenced by resource {request.name} was not found. Please "
            "make sure that the referenced resource exists, and that both resources are in the same region."
        )
    return f"ResourceNotFound: The Resource '{rest or scope}' was not found."


def _name_resource(match: re.Match[str]) -> str:
    account, database, container = match.groups()
    return f"{account}/sqlDatabases/{database}" + (f"/containers/{container}" if container else "")


def _find_missing_key(request: ResourceRequest, url: str) -> str | None:
    keys = request.state.all("azure-native:keyvault:Key")
    if any(key.outputs.get("keyUri") == url for key in keys):
        return None
    name = url.rsplit("/", 1)[-1]
    return f"KeyNotFound: A key with (name/id) {name} was not found in this key vault."
