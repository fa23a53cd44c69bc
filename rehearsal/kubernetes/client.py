"""A small client of the Kubernetes API for objects of any kind, represented by the mappings that the API returns.

Every request has a time limit. A server that cannot be reached raises ApiUnreachableError; an error status raises
ApiError with the server's own message.

It is the project's own code, because no library does the same at a lower cost (a list of 500 objects: 23 ms of CPU;
lightkube 19, but without strict validation and exact lists; kubernetes 66; kr8s 466). See
docs/adr/0012-a-small-kubernetes-client.md.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
import yaml

Object = Mapping[str, Any]

_REQUEST_TIMEOUT = 30  # seconds: longer than the API server waits for a webhook, 10 s by default
_WATCH_CHUNK = 1 << 16  # bytes read at once from a watch: a CustomResourceDefinition can have a million
_APPLY_PATCH = "application/apply-patch+yaml"
_MERGE_PATCH = "application/merge-patch+json"


class ApiUnreachableError(Exception):
    """The API server does not answer."""


class ApiError(Exception):
    """An error of the API server: `status` is the HTTP status; `reason` and `details` come from the Status object."""

    def __init__(self, status: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.details: Mapping[str, Any] = details or {}


class NoKindMatchError(ApiError):
    """The API server does not serve the kind: its CustomResourceDefinition is not installed."""

    def __init__(self, api_version: str, kind: str) -> None:
        super().__init__(404, "NoKindMatch", f'no matches for kind "{kind}" in version "{api_version}"')


@dataclass(frozen=True)
class ApiResource:
    """A kind as the API server serves it: `group_path` is `/api/v1` or `/apis/<group>/<version>`."""

    group_path: str
    plural: str
    namespaced: bool

    def object_path(self, namespace: str, name: str) -> str:
        return f"{self.collection_path(namespace)}/{name}"

    def collection_path(self, namespace: str) -> str:
        """The path of a namespace's objects (`default` if none is named), or of all objects of a cluster-wide kind."""
        if not self.namespaced:
            return self.cluster_path
        return f"{self.group_path}/namespaces/{namespace or 'default'}/{self.plural}"

    @property
    def cluster_path(self) -> str:
        """The path of the objects of all namespaces."""
        return f"{self.group_path}/{self.plural}"


@dataclass(frozen=True)
class ClientConfig:
    """Address of an API server and the PEM files that authenticate both sides."""

    server: str
    ca_file: str
    cert_file: str
    key_file: str

    @classmethod
    def from_kubeconfig(cls, kubeconfig: str) -> ClientConfig:
        """The first cluster and user of a kubeconfig whose credentials are files."""
        content = yaml.safe_load(kubeconfig)
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        return cls(cluster["server"], cluster["certificate-authority"], user["client-certificate"], user["client-key"])


@dataclass
class ApiClient:
    """A client of one API server. Safe to share between threads."""

    config: ClientConfig
    _resources: dict[tuple[str, str], ApiResource] = field(default_factory=dict)
    _local: threading.local = field(default_factory=threading.local)

    def discover(self, api_version: str, kind: str) -> ApiResource:
        """How the API server serves a kind. Served kinds are cached; a kind that is not served is looked up again.

        Raises NoKindMatchError.
        """
        if (api_version, kind) not in self._resources:
            self._resources.update(self._discover_group(api_version))
        if (api_version, kind) not in self._resources:
            raise NoKindMatchError(api_version, kind)
        return self._resources[api_version, kind]

    def apply(self, manifest: Object, field_manager: str, *, force: bool = False, dry_run: bool = False) -> Object:
        """Apply server-side; returns the object as it is stored, or with `dry_run` as it would be."""
        options = {"fieldManager": field_manager, "fieldValidation": "Strict", "force": str(force).lower()}
        if dry_run:
            options["dryRun"] = "All"
        return self.request("PATCH", self._object_path(manifest), options, manifest, _APPLY_PATCH)

    def create(self, manifest: Object) -> Object:
        metadata = manifest.get("metadata") or {}
        resource = self.discover(manifest["apiVersion"], manifest["kind"])
        return self.request("POST", resource.collection_path(metadata.get("namespace", "")), body=manifest)

    def patch(self, manifest: Object, change: Object, subresource: str = "") -> Object:
        """Merge-patch the object that `manifest` names, or a subresource of it such as `/status`."""
        return self.request("PATCH", self._object_path(manifest) + subresource, body=change, content_type=_MERGE_PATCH)

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        """One object; None if the object does not exist, or its kind is not served."""
        try:
            return self.request("GET", self.discover(api_version, kind).object_path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def current_resource_version(self) -> str:
        """The latest resourceVersion of the whole cluster; lists of several kinds at one version are consistent.

        Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions; one etcd stores all.
        """
        return str(self.request("GET", "/api/v1/namespaces", {"limit": "1"})["metadata"]["resourceVersion"])

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
    ) -> Sequence[Object]:
        """The objects of a kind, of all namespaces unless one is named, each with its apiVersion and kind.

        Empty if the kind is not served. With `resource_version`, the objects exactly as of that version.
        """
        options = {"labelSelector": label_selector, "fieldSelector": field_selector}
        if resource_version:
            options |= {"resourceVersion": resource_version, "resourceVersionMatch": "Exact"}
        try:
            resource = self.discover(api_version, kind)
            path = resource.collection_path(namespace) if namespace else resource.cluster_path
            content = self.request("GET", path, options)
        except ApiError as error:
            if error.status != 404:  # not served, or no longer
                raise
            return []
        return _list_items(content, api_version, kind)

    def delete(
        self, api_version: str, kind: str, name: str, namespace: str = "", *, propagation_policy: str = "Foreground"
    ) -> bool:
        """Request an object's deletion, which may take effect later. False if there is no such object."""
        try:
            path = self.discover(api_version, kind).object_path(namespace, name)
            self.request("DELETE", path, body={"propagationPolicy": propagation_policy})
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def list_with_version(self, api_version: str, kind: str) -> tuple[Sequence[Object], str]:
        """All objects of a kind, and the resource version from which a watch reports what happens after that.

        Raises NoKindMatchError.
        """
        content = self.request("GET", self.discover(api_version, kind).cluster_path)
        return _list_items(content, api_version, kind), content["metadata"]["resourceVersion"]

    def watch(
        self, api_version: str, kind: str, timeout_seconds: int, resource_version: str
    ) -> Iterator[tuple[str, Object]]:
        """Events of a kind's objects in all namespaces until the timeout, each with its type and its object.

        Types are ADDED, MODIFIED, DELETED, BOOKMARK and ERROR. A BOOKMARK, whose object has only a resource version,
        arrives shortly before the timeout, or when nothing else happens for a minute.
        Raises ApiError and ApiUnreachableError.
        """
        options = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(timeout_seconds),
            "resourceVersion": resource_version,
        }
        path = self.discover(api_version, kind).cluster_path
        timeout = timeout_seconds + _REQUEST_TIMEOUT
        with self._send("GET", path, options, timeout=timeout, stream=True) as response:
            if response.status_code >= 400:
                raise ApiError(response.status_code, "", response.text)
            for line in response.iter_lines(_WATCH_CHUNK):
                event = json.loads(line)
                yield event["type"], event["object"]

    def request(
        self,
        method: str,
        path: str,
        options: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Object:
        """Send one request; returns the parsed response. Raises ApiError and ApiUnreachableError."""
        response = self._send(method, path, options or {}, body, content_type)
        is_json = "json" in response.headers.get("Content-Type", "")
        content: Object = response.json() if is_json else {"message": response.text}
        if response.status_code >= 400:
            message = content.get("message", response.text)
            raise ApiError(response.status_code, content.get("reason", ""), message, content.get("details"))
        return content

    def _discover_group(self, api_version: str) -> Mapping[tuple[str, str], ApiResource]:
        """The kinds of an API group's version; empty if it is not served."""
        path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            served = self.request("GET", path)["resources"]
        except ApiError as error:
            if error.status != 404:
                raise
            return {}
        return {
            (api_version, item["kind"]): ApiResource(path, item["name"], item["namespaced"])
            for item in served
            if "/" not in item["name"]  # else it is a subresource
        }

    def _object_path(self, manifest: Object) -> str:
        metadata = manifest["metadata"]
        resource = self.discover(manifest["apiVersion"], manifest["kind"])
        return resource.object_path(metadata.get("namespace", ""), metadata["name"])

    def _send(
        self,
        method: str,
        path: str,
        options: Mapping[str, str],
        body: Any = None,
        content_type: str = "",
        *,
        timeout: float = _REQUEST_TIMEOUT,
        stream: bool = False,
    ) -> requests.Response:
        try:
            return self._session().request(
                method,
                self.config.server + path,
                params={key: value for key, value in options.items() if value},
                data=None if body is None else json.dumps(body),
                headers={"Content-Type": content_type} if content_type else {},
                timeout=timeout,
                stream=stream,
            )
        except requests.RequestException as error:
            raise ApiUnreachableError(
                f"the API server at {self.config.server} does not answer ({type(error).__name__})"
            ) from None

    def _session(self) -> requests.Session:
        """This thread's session: requests does not promise that one may be shared."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = False  # the user's proxy settings do not apply to 127.0.0.1
            session.headers["Accept-Encoding"] = "identity"  # compression only costs time on one machine
            session.verify = self.config.ca_file
            session.cert = (self.config.cert_file, self.config.key_file)
        return session


def _list_items(content: Object, api_version: str, kind: str) -> list[Object]:
    """The objects of a list, with the apiVersion and kind that its items lack."""
    return [{"apiVersion": api_version, "kind": kind, **item} for item in content["items"]]
