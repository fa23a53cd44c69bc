"""The calls of the Kubernetes API that training runs need: create, list and annotate Jobs, and list their pods."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from lifecycle.core import LifecycleError, tracing
from lifecycle.retraining.jobs import MANAGER, MANAGER_LABEL, MODEL_LABEL, Job, Manifest

_TIMEOUT = 10.0  # seconds
_CONFLICT = 409
_MERGE_PATCH = "application/merge-patch+json"


class UnavailableError(LifecycleError):
    """The API server does not answer, or not as expected. Trying again later may help."""


class ConflictError(Exception):
    """An object of this name exists, or the object has changed."""


class KubernetesClient:
    """A client with a service account's token. Safe to share between threads."""

    def __init__(self, server: str, credentials: Path, namespace: str) -> None:
        """Raises LifecycleError if the folder of credentials has no certificates."""
        self._token = credentials / "token"
        try:
            tls = ssl.create_default_context(cafile=str(credentials / "ca.crt"))
        except (OSError, ssl.SSLError) as error:
            raise LifecycleError(
                f"RETRAINING_API_CREDENTIALS {credentials}: ca.crt cannot be used ({error}); mount the token of a "
                "service account there"
            ) from None
        # Proxies in the environment are for programs that call the Internet.
        self._client = httpx.Client(base_url=server, verify=tls, timeout=_TIMEOUT, trust_env=False)
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._pods = f"/api/v1/namespaces/{namespace}/pods"

    def close(self) -> None:
        self._client.close()

    def list_jobs(self, model: str = "") -> Sequence[Job]:
        """The Jobs of a model's runs, or of all. Raises UnavailableError."""
        selector = f"{MANAGER_LABEL}={MANAGER}" + (f",{MODEL_LABEL}={model}" if model else "")
        return [Job.from_manifest(item) for item in self._list(self._jobs, selector)]

    def create_job(self, manifest: Manifest) -> Job:
        """Raises ConflictError if a Job of this name exists; UnavailableError."""
        return Job.from_manifest(self._request("POST", self._jobs, json=dict(manifest)))

    def annotate(self, job: Job, annotations: Mapping[str, str]) -> Job:
        """Returns the changed Job. Raises ConflictError if it has changed since it was read."""
        change = {"metadata": {"annotations": dict(annotations), "resourceVersion": job.version}}
        headers = {"content-type": _MERGE_PATCH}
        return Job.from_manifest(self._request("PATCH", f"{self._jobs}/{job.name}", json=change, headers=headers))

    def list_pods(self, job: Job) -> Sequence[Manifest]:
        """The pods of a Job. Raises UnavailableError."""
        return self._list(self._pods, f"batch.kubernetes.io/job-name={job.name}")

    def _list(self, path: str, selector: str) -> Sequence[Manifest]:
        # Without a resourceVersion the list is up to date, as the decision on the next run requires.
        items: Sequence[Manifest] = self._request("GET", path, params={"labelSelector": selector})["items"]
        return items

    def _request(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **content: Any) -> Any:
        try:
            # Read each time: the kubelet replaces the token within the hour.
            sent = {"authorization": f"Bearer {self._token.read_text().strip()}", **(headers or {})}
            tracing.inject(sent)
            reply = self._client.request(method, path, headers=sent, **content)
            if reply.status_code == _CONFLICT:
                raise ConflictError
            if reply.is_error:
                raise UnavailableError(f"The API server answered {method} {path} with {_explain(reply)}")
            return reply.json()
        except (httpx.HTTPError, OSError, ValueError) as error:
            raise UnavailableError(
                f"The API server at {self._client.base_url} does not answer {method} {path} "
                f"({type(error).__name__}: {error})"
            ) from None


def _explain(reply: httpx.Response) -> str:
    """The status with the API server's own message, if there is one."""
    try:
        return f"{reply.status_code}: {reply.json()['message']}"
    except (ValueError, TypeError, KeyError):
        return str(reply.status_code)
