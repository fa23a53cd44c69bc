"""Following what becomes of a kind's objects, for as long as somebody wants to know."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import requests

from rehearsal.kubernetes.client import Api, ApiError, Object, Unreachable

_WATCH = 20  # seconds that one watch lasts
_PAUSE = 0.5  # seconds until a server that does not answer, or does not serve the kind yet, is asked again


def follow(api: Api, api_version: str, kind: str, ended: threading.Event) -> Iterator[tuple[str, Object]]:
    """Every change of a kind's objects until `ended` is set, however often the server goes away: (type, object).

    It begins with what there is, as ADDED, and does so again when it has lost its place.
    """
    version = ""
    while not ended.is_set():
        try:
            for type_, found in api.watch(api_version, kind, _WATCH, version):
                if ended.is_set():
                    return
                if type_ == "ERROR":  # the place is too old: 410 Gone
                    version = ""
                    break
                version = found["metadata"]["resourceVersion"]
                yield type_, found
        except (ApiError, Unreachable, requests.RequestException):
            version = ""
            ended.wait(_PAUSE)
