"""A small client of the Kubernetes API: what the rehearsal asks of its API server, object by object.

Objects are plain mappings as the API gives them. Every call has a time limit; a server that is gone is an
`Unreachable`, what it refuses is an `ApiError` in its own words.
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

_PATIENCE = 30  # seconds for one answer: longer than the API server gives a webhook (10 s unless it says otherwise)
_CHUNK = 1 << 16  # bytes read at once from a watch: a CustomResourceDefinition may have a million
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"


class Unreachable(Exception):
    """The API server does not answer."""


class ApiError(Exception):
    """What the API server refused: `status` is HTTP's, `reason` and `details` are those of the Status object."""

    def __init__(self, status: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.details: Mapping[str, Any] = details or {}


class NoSuchKind(ApiError):
    """The API server serves no such kind: its CustomResourceDefinition is not there."""

    def __init__(self, api_version: str, kind: str) -> None:
        super().__init__(404, "NoSuchKind", f'no matches for kind "{kind}" in version "{api_version}"')


@dataclass(frozen=True)
class Kind:
    """A kind as the API serves it: `path` is `/api/v1` or `/apis/<group>/<version>`."""

    path: str
    plural: str
    namespaced: bool

    def url(self, namespace: str, name: str) -> str:
        """The path of one object."""
        return f"{self.collection(namespace)}/{name}"

    def collection(self, namespace: str) -> str:
        """The path of a namespace's objects, those of `default` if none is named; of all, where kinds have none."""
        return f"{self.path}/namespaces/{namespace or 'default'}/{self.plural}" if self.namespaced else self.all

    @property
    def all(self) -> str:
        """The path of the objects of every namespace."""
        return f"{self.path}/{self.plural}"


@dataclass(frozen=True)
class Access:
    """How to reach an API server, and as whom: the files are PEM."""

    server: str
    authority: str
    certificate: str
    key: str

    @classmethod
    def of(cls, kubeconfig: str) -> Access:
        """The current context of a kubeconfig whose credentials are files."""
        parsed = yaml.safe_load(kubeconfig)
        cluster, user = parsed["clusters"][0]["cluster"], parsed["users"][0]["user"]
        return cls(cluster["server"], cluster["certificate-authority"], user["client-certificate"], user["client-key"])


@dataclass
class Api:
    """One client; may be used from several threads."""

    access: Access
    _kinds: dict[tuple[str, str], Kind] = field(default_factory=dict)
    _local: threading.local = field(default_factory=threading.local)

    def kind(self, api_version: str, kind: str) -> Kind:
        """What the API server serves under this name; asked again when it is not known yet. Raises NoSuchKind."""
        if (api_version, kind) not in self._kinds:
            path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
            try:
                found = self.ask("GET", path)["resources"]
            except ApiError as error:
                if error.status != 404:
                    raise
                found = []
            for item in found:
                if "/" not in item["name"]:  # else a subresource
                    self._kinds[api_version, item["kind"]] = Kind(path, item["name"], item["namespaced"])
        if (api_version, kind) not in self._kinds:
            raise NoSuchKind(api_version, kind)
        return self._kinds[api_version, kind]

    def apply(self, manifest: Object, manager: str, *, force: bool = False, dry_run: bool = False) -> Object:
        """Server-side apply; with `dry_run` nothing is kept, and the answer is what would be."""
        options = {"fieldManager": manager, "fieldValidation": "Strict", "force": str(force).lower()}
        if dry_run:
            options["dryRun"] = "All"
        return self.ask("PATCH", self._of(manifest), options, manifest, _APPLY)

    def create(self, manifest: Object) -> Object:
        metadata = manifest.get("metadata") or {}
        kind = self.kind(manifest["apiVersion"], manifest["kind"])
        return self.ask("POST", kind.collection(metadata.get("namespace", "")), body=manifest)

    def patch(self, manifest: Object, change: Object, subresource: str = "") -> Object:
        """A merge patch of the object that `manifest` names, or of its `/status`."""
        return self.ask("PATCH", self._of(manifest) + subresource, body=change, content=_MERGE)

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        """One object, None where there is none, nor its kind."""
        try:
            return self.ask("GET", self.kind(api_version, kind).url(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def revision(self) -> str:
        """Where the whole cluster's history is now; lists of several kinds at one revision fit together.

        Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions; one etcd holds all.
        """
        return str(self.ask("GET", "/api/v1/namespaces", {"limit": "1"})["metadata"]["resourceVersion"])

    def list(
        self, api_version: str, kind: str, namespace: str = "", *, labels: str = "", fields: str = "", at: str = ""
    ) -> Sequence[Object]:
        """All objects of a kind, in all namespaces unless one is named; each with apiVersion and kind. No
        objects where the kind is not served. As they were at the revision `at`, where one is given."""
        options = {"labelSelector": labels, "fieldSelector": fields}
        if at:
            options |= {"resourceVersion": at, "resourceVersionMatch": "Exact"}
        try:
            found = self.kind(api_version, kind)
            items = self.ask("GET", found.collection(namespace) if namespace else found.all, options)["items"]
        except ApiError as error:
            if error.status != 404:  # no such kind, or not any more
                raise
            return []
        return [{"apiVersion": api_version, "kind": kind, **item} for item in items]

    def delete(
        self, api_version: str, kind: str, name: str, namespace: str = "", *, propagation: str = "Foreground"
    ) -> bool:
        """Ask for an object's deletion; it is gone when `get` says so. Gives False where there is none."""
        try:
            path = self.kind(api_version, kind).url(namespace, name)
            self.ask("DELETE", path, body={"propagationPolicy": propagation})
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def watch(self, api_version: str, kind: str, seconds: int, version: str = "") -> Iterator[tuple[str, Object]]:
        """Changes of a kind's objects, in all namespaces, for so many seconds: (ADDED | MODIFIED | DELETED, object).

        Without `version` it begins with what there is.
        """
        options = {"watch": "true", "timeoutSeconds": str(seconds), "resourceVersion": version}
        path = self.kind(api_version, kind).all
        with self._send("GET", path, options, None, None, seconds + _PATIENCE, stream=True) as reply:
            for line in reply.iter_lines(_CHUNK):
                event = json.loads(line)
                yield event["type"], event["object"]

    def ask(
        self,
        method: str,
        path: str,
        options: Mapping[str, str] | None = None,
        body: Any = None,
        content: str = "application/json",
    ) -> Object:
        """One request; gives the parsed answer. Raises ApiError and Unreachable."""
        reply = self._send(method, path, options or {}, body, content, _PATIENCE)
        answer: Object = reply.json() if "json" in reply.headers.get("Content-Type", "") else {"message": reply.text}
        if reply.status_code >= 400:
            raise ApiError(
                reply.status_code, answer.get("reason", ""), answer.get("message", reply.text), answer.get("details")
            )
        return answer

    def _of(self, manifest: Object) -> str:
        metadata = manifest["metadata"]
        kind = self.kind(manifest["apiVersion"], manifest["kind"])
        return kind.url(metadata.get("namespace", ""), metadata["name"])

    def _send(
        self,
        method: str,
        path: str,
        options: Mapping[str, str],
        body: Any,
        content: str | None,
        patience: float,
        *,
        stream: bool = False,
    ) -> requests.Response:
        try:
            return self._session().request(
                method,
                self.access.server + path,
                params={key: value for key, value in options.items() if value},
                data=None if body is None else json.dumps(body),
                headers={"Content-Type": content} if content else {},
                timeout=patience,
                stream=stream,
            )
        except requests.RequestException as error:
            raise Unreachable(
                f"the API server at {self.access.server} does not answer ({type(error).__name__})"
            ) from None

    def _session(self) -> requests.Session:
        """One a thread: requests does not promise more."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = False  # no proxy of the person's between here and 127.0.0.1
            session.headers["Accept-Encoding"] = "identity"  # to pack what stays on this machine would only take time
            session.verify = self.access.authority
            session.cert = (self.access.certificate, self.access.key)
        return session
