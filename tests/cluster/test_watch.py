"""Watches on a real API server: each object is reported once, even if a request ends.

The handling of events is tested with the controllers.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from rehearsal.kubernetes import watch
from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.control_plane.control_plane import ControlPlane
from tests.support.namespaced_cluster import NamespacedCluster

_REQUESTS = 3


def test_existing_objects_are_reported_once(
    plane: ControlPlane, cluster: NamespacedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_WATCH_TIMEOUT", 3)
    # Existing objects are reported by name, so the oldest is the last.
    for name in ("c", "b", "a"):
        cluster.create("LimitRange", name)
    stop, versions = threading.Event(), []

    watch_once = plane.api.watch

    def count(api_version: str, kind: str, timeout: int, version: str) -> Iterator[tuple[str, Object]]:
        versions.append(version)
        if len(versions) > _REQUESTS:
            stop.set()
        return watch_once(api_version, kind, timeout, version)

    monkeypatch.setattr(plane.api, "watch", count)
    events = watch.watch_objects(plane.api, "v1", "LimitRange", stop)
    namespace = cluster.namespace
    names = [found["metadata"]["name"] for _, found in events if found["metadata"]["namespace"] == namespace]
    assert sorted(names) == ["a", "b", "c"]
    assert len(versions) > _REQUESTS
