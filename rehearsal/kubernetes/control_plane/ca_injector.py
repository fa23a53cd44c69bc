"""Makes the API server trust the rehearsal's answers for services in the cluster.

Webhooks, conversions and aggregated APIs name the authority that their server's certificate comes from. In a real
cluster cert-manager, or a Job of the chart's, writes it in; here a simulated injector writes in the rehearsal's own.
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

_MANAGER = "groundwork-simulated-ca-injector"
_ADMISSION = "admissionregistration.k8s.io/v1"

_Route = tuple[str, str, str]  # namespace, service, path


class CaInjector:
    """Follows whatever names a service, and knows which webhook is behind which path."""

    def __init__(self, api: ApiClient, authority: CertificateAuthority) -> None:
        self._api = api
        self._bundle = base64.b64encode(authority.ca_file.read_bytes()).decode()
        self._webhooks: dict[_Route, str] = {}

    def start(self, ended: threading.Event) -> None:
        """Follow until `ended` is set, in threads of their own."""
        for api_version, kind in _CHANGES:
            threading.Thread(target=self._follow, args=(api_version, kind, ended), daemon=True).start()

    def webhook(self, namespace: str, service: str, path: str) -> str:
        """The name of the webhook that is asked at a path of a service."""
        route = (namespace, service, path.partition("?")[0])
        return self._webhooks.get(route, f"{service}.{namespace}{route[2]}")

    def _follow(self, api_version: str, kind: str, ended: threading.Event) -> None:
        for type_, found in watch_objects(self._api, api_version, kind, ended):
            if type_ == "DELETED":
                continue
            for name, config in _client_configs(found):
                service = config["service"]
                route = (service["namespace"], service["name"], service.get("path", "/"))
                self._webhooks[route] = name
            change = _CHANGES[api_version, kind](found, self._bundle)
            if change:
                self._write(found, change)

    def _write(self, found: Object, change: Mapping[str, Any]) -> None:
        named = {key: found[key] for key in ("apiVersion", "kind")} | {"metadata": {"name": found["metadata"]["name"]}}
        # It may have been deleted meanwhile: then what is written is no whole object, and refused.
        with contextlib.suppress(ApiError, ApiUnreachableError):
            self._api.apply({**named, **change}, _MANAGER, force=True)


def _client_configs(found: Object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What in a webhook's configuration, or a CRD's conversion, names a service: (name, client configuration)."""
    for webhook in found.get("webhooks") or ():
        if "service" in webhook["clientConfig"]:
            yield webhook["name"], webhook["clientConfig"]
    conversion = found.get("spec", {}).get("conversion", {}).get("webhook", {}).get("clientConfig", {})
    if "service" in conversion:
        yield f"conversion of {found['metadata']['name']}", conversion


def _in_webhooks(found: Object, bundle: str) -> Mapping[str, Any]:
    configs = list(_client_configs(found))
    if all(config.get("caBundle") == bundle for _, config in configs):
        return {}
    return {"webhooks": [{"name": name, "clientConfig": {"caBundle": bundle}} for name, _ in configs]}


def _in_conversion(found: Object, bundle: str) -> Mapping[str, Any]:
    configs = list(_client_configs(found))
    if all(config.get("caBundle") == bundle for _, config in configs):
        return {}
    return {"spec": {"conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {"caBundle": bundle}}}}}


def _in_api_service(found: Object, bundle: str) -> Mapping[str, Any]:
    spec = found["spec"]
    if not spec.get("service") or spec.get("insecureSkipTLSVerify") or spec.get("caBundle") == bundle:
        return {}
    return {"spec": {"caBundle": bundle}}


_CHANGES: Mapping[tuple[str, str], Callable[[Object, str], Mapping[str, Any]]] = {
    (_ADMISSION, "MutatingWebhookConfiguration"): _in_webhooks,
    (_ADMISSION, "ValidatingWebhookConfiguration"): _in_webhooks,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): _in_conversion,
    ("apiregistration.k8s.io/v1", "APIService"): _in_api_service,
}
