"""Watching a kind's objects across timeouts, restarts of the API server and expired resource versions."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import requests

from rehearsal.kubernetes.client import ApiClient, ApiError, ApiUnreachableError, Object

_WATCH_TIMEOUT = 20  # seconds of one watch request
_RETRY_INTERVAL = 0.5  # seconds before a failed watch is retried; the kind may not be served yet


def watch_objects(api: ApiClient, api_version: str, kind: str, stop: threading.Event) -> Iterator[tuple[str, Object]]:
    """Events of a kind's objects in all namespaces until `stop` is set: (ADDED | MODIFIED | DELETED, object).

    Existing objects are reported first, as ADDED. They are reported again after a failure, or after the current
    resource version has expired, so handlers have to be idempotent. Deletions in between are not reported.
    """
    resource_version = ""
    while not stop.is_set():
        try:
            if not resource_version:
                objects, resource_version = api.list_with_version(api_version, kind)
                yield from (("ADDED", found) for found in objects)
            for event_type, changed in api.watch(api_version, kind, _WATCH_TIMEOUT, resource_version):
                if stop.is_set():
                    return
                if event_type == "ERROR":  # 410 Gone: the resource version has expired
                    resource_version = ""
                    break
                resource_version = changed["metadata"]["resourceVersion"]
                if event_type != "BOOKMARK":
                    yield event_type, changed
        except (ApiError, ApiUnreachableError, requests.RequestException):
            resource_version = ""
            stop.wait(_RETRY_INTERVAL)
