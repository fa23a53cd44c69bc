"""Makes the API server trust the certificates that the egress proxy presents for services in the cluster.

Webhooks, conversions and aggregated APIs contain the CA that verifies their server's certificate. In a real cluster,
cert-manager or a Job of the chart writes it there; here a simulated injector writes the rehearsal's own CA.
"""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rehearsal.kubernetes.client import ApiClient, ApiError, ApiUnreachableError, Object
from rehearsal.kubernetes.control_plane.certificates import CertificateAuthority
from rehearsal.kubernetes.watch import watch_objects

_FIELD_MANAGER = "groundwork-simulated-ca-injector"
_ADMISSION = "admissionregistration.k8s.io/v1"

_Route = tuple[str, str, str]  # namespace, service, path


class CaInjector:
    """Watches the objects that name a service, injects the CA, and records the path of each webhook."""

    def __init__(self, api: ApiClient, authority: CertificateAuthority) -> None:
        self._api = api
        self._bundle = base64.b64encode(authority.ca_file.read_bytes()).decode()
        self._webhooks: dict[_Route, str] = {}

    def start(self, stop: threading.Event) -> None:
        """Watch in threads until `stop` is set."""
        for api_version, kind in _PATCH_BUILDERS:
            threading.Thread(target=self._watch, args=(api_version, kind, stop), daemon=True).start()

    def find_webhook(self, namespace: str, service: str, path: str) -> str:
        """The name of the webhook at a path of a service; the service's address if no webhook is known."""
        route = (namespace, service, path.partition("?")[0])
        return self._webhooks.get(route, f"{service}.{namespace}{route[2]}")

    def _watch(self, api_version: str, kind: str, stop: threading.Event) -> None:
        for event_type, changed in watch_objects(self._api, api_version, kind, stop):
            if event_type == "DELETED":
                continue
            for name, config in _each_client_config(changed):
                service = config["service"]
                route = (service["namespace"], service["name"], service.get("path", "/"))
                self._webhooks[route] = name
            patch = _PATCH_BUILDERS[api_version, kind](changed, self._bundle)
            if patch:
                self._apply(changed, patch)

    def _apply(self, changed: Object, patch: Mapping[str, Any]) -> None:
        identity = {"apiVersion": changed["apiVersion"], "kind": changed["kind"]}
        metadata = {"name": changed["metadata"]["name"]}
        # If the object was deleted in between, the API server refuses to create one from only the patch.
        with contextlib.suppress(ApiError, ApiUnreachableError):
            self._api.apply({**identity, "metadata": metadata, **patch}, _FIELD_MANAGER, force=True)


def _each_client_config(changed: Object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The client configurations of webhooks, or of a CRD's conversion, that name a service, each with its name."""
    for webhook in changed.get("webhooks") or ():
        if "service" in webhook["clientConfig"]:
            yield webhook["name"], webhook["clientConfig"]
    conversion = changed.get("spec", {}).get("conversion", {}).get("webhook", {}).get("clientConfig", {})
    if "service" in conversion:
        yield f"conversion of {changed['metadata']['name']}", conversion


def _patch_webhooks(changed: Object, bundle: str) -> Mapping[str, Any]:
    configs = list(_each_client_config(changed))
    if all(config.get("caBundle") == bundle for _, config in configs):
        return {}
    return {"webhooks": [{"name": name, "clientConfig": {"caBundle": bundle}} for name, _ in configs]}


def _patch_conversion(changed: Object, bundle: str) -> Mapping[str, Any]:
    configs = list(_each_client_config(changed))
    if all(config.get("caBundle") == bundle for _, config in configs):
        return {}
    return {"spec": {"conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {"caBundle": bundle}}}}}


def _patch_api_service(changed: Object, bundle: str) -> Mapping[str, Any]:
    spec = changed["spec"]
    if not spec.get("service") or spec.get("insecureSkipTLSVerify") or spec.get("caBundle") == bundle:
        return {}
    return {"spec": {"caBundle": bundle}}


# The patch that adds the CA to an object of each kind; empty if the object has it already, or needs none.
_PATCH_BUILDERS: Mapping[tuple[str, str], Callable[[Object, str], Mapping[str, Any]]] = {
    (_ADMISSION, "MutatingWebhookConfiguration"): _patch_webhooks,
    (_ADMISSION, "ValidatingWebhookConfiguration"): _patch_webhooks,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): _patch_conversion,
    ("apiregistration.k8s.io/v1", "APIService"): _patch_api_service,
}
