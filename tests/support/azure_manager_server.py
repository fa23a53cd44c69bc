"""A local server that responds like Azure Resource Manager, for one subscription."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
TENANT = "00000000-0000-0000-0000-000000000002"

_COMPUTE = "/providers/Microsoft.Compute"
_POSTGRESQL, _COSMOS = "/providers/Microsoft.DBforPostgreSQL", "/providers/Microsoft.DocumentDB"
NAMESPACES = (
    "Authorization Compute Consumption ContainerRegistry ContainerService DBforPostgreSQL DocumentDB Insights "
    "KeyVault MachineLearningServices ManagedIdentity Network OperationalInsights PolicyInsights Resources Storage"
).split()


def offer(size: str, family: str, cores: int, zones: str = "123") -> dict[str, Any]:
    """A virtual machine size, in the format of the list of SKUs."""
    return {
        "resourceType": "virtualMachines",
        "name": size,
        "family": family,
        "capabilities": [{"name": "vCPUs", "value": str(cores)}],
        "locationInfo": [{"location": "westeurope", "zones": list(zones)}],
        "restrictions": [],
    }


def server_offer(
    size: str = "Standard_B2s", restricted: str = "Disabled", standby: str = "Enabled", copies: str = "Enabled"
) -> dict[str, Any]:
    """What Azure Database for PostgreSQL offers in a region: one size, and whether features are Enabled or Disabled."""
    features = {
        "OfferRestricted": restricted,
        "ZoneRedundantHa": standby,
        "GeoBackup": copies,
        "ZoneRedundantHaAndGeoBackup": copies,
    }
    sizes = [{"name": size, "supportedHaMode": ["SameZone", "ZoneRedundant"]}]
    return {
        "supportedServerEditions": [{"name": "Burstable", "supportedServerSkus": sizes}],
        "supportedFeatures": [{"name": name, "status": status} for name, status in features.items()],
    }


def account_offer(name: str = "West Europe", *, regular: bool = True, zones: bool = True) -> dict[str, Any]:
    """What Cosmos DB offers in a region."""
    properties = {
        "supportsAvailabilityZone": True,
        "isSubscriptionRegionAccessAllowedForRegular": regular,
        "isSubscriptionRegionAccessAllowedForAz": zones,
    }
    return {"name": name, "properties": properties}


def usage(name: str, current: int, limit: int) -> dict[str, Any]:
    return {"name": {"value": name, "localizedValue": name}, "currentValue": current, "limit": limit}


def subscription_answers() -> dict[str, Any]:
    """The responses of a subscription with everything that a stack needs, keyed by path."""
    return {
        "": {"displayName": "Machine learning", "state": "Enabled", "tenantId": TENANT},
        "/providers": {
            "value": [{"namespace": f"microsoft.{name}", "registrationState": "Registered"} for name in NAMESPACES]
        },
        "/providers/Microsoft.Features/providers/Microsoft.Compute/features/EncryptionAtHost": {
            "properties": {"state": "Registered"}
        },
        "/providers/Microsoft.Authorization/permissions": {"value": [{"actions": ["*"], "notActions": []}]},
        f"{_COMPUTE}/skus": {"value": [offer("Standard_D4s_v5", "standardDSv5Family", 4)]},
        f"{_COMPUTE}/locations/westeurope/usages": {
            "value": [usage("standardDSv5Family", 0, 100), usage("cores", 0, 100)]
        },
        "/providers/Microsoft.Network/locations/westeurope/usages": {
            "value": [usage("VirtualNetworks", 1, 1000), usage("IPv4StandardSkuPublicIpAddresses", 0, 10)]
        },
        "/providers/Microsoft.Network/publicIPAddresses": {"value": []},
        f"{_POSTGRESQL}/flexibleServers": {"value": []},
        f"{_POSTGRESQL}/locations/westeurope/capabilities": {"value": [server_offer()]},
        f"{_COSMOS}/databaseAccounts": {"value": []},
        f"{_COSMOS}/locations": {"value": [account_offer("North Europe", zones=False), account_offer()]},
    }


def error(code: str, message: str, status: int = 403) -> dict[str, Any]:
    """An error response."""
    return {"error": {"code": code, "message": message}, "status": status}


@contextmanager
def serve_manager(answers: Mapping[str, Any]) -> Iterator[str]:
    """Serve while the context lasts; yields the server's URL. Requests without a token are rejected."""
    prefix = f"/subscriptions/{SUBSCRIPTION}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path.removeprefix(prefix)
            answer = dict(answers.get(path) or error("ResourceNotFound", f"{path} was not found", 404))
            if not self.headers.get("Authorization", "").startswith("Bearer "):
                answer = error(
                    "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.", 401
                )
            body = json.dumps(answer).encode()
            self.send_response(answer.get("status", 200))
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keep requests out of the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
