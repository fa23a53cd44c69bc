"""A consistent snapshot of the cluster's objects, for checks that relate objects of several kinds."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cached_property

from rehearsal.kubernetes.client import ApiClient, Object

# The controllers of pods that people declare themselves. Their own owners (an operator's custom object) are not looked
# up.
_WORKLOAD_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")
_INTERMEDIATE_KINDS = (("apps/v1", "ReplicaSet"), ("batch/v1", "Job"))


class Snapshot:
    """The objects of the cluster, or of one namespace, at one resource version.

    Each kind is listed once, when it is first needed, but at the resource version of the first list: a pod created
    since then is missing, and so is everything that follows from it.
    """

    def __init__(self, api: ApiClient, namespace: str = "") -> None:
        self.api = api
        self.namespace = namespace
        self._listed: dict[tuple[str, str], Mapping[tuple[str, str], Object]] = {}

    def list(self, api_version: str, kind: str) -> Collection[Object]:
        return self._by_name(api_version, kind).values()

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        return self._by_name(api_version, kind).get((namespace, name))

    def find_workload(self, found: Object) -> Object:
        """The outermost controller of an object: a pod's Deployment or a Job's CronJob, else the object itself.

        A controller that no longer exists, or is of a custom kind, is known only from the owner reference.
        """
        owners = found["metadata"].get("ownerReferences", ())
        owner = next((reference for reference in owners if reference.get("controller")), None)
        if owner is None or found["kind"] in _WORKLOAD_KINDS:
            return found
        namespace = found["metadata"].get("namespace", "")
        controller = None
        if owner["kind"] in _WORKLOAD_KINDS or (owner["apiVersion"], owner["kind"]) in _INTERMEDIATE_KINDS:
            controller = self.get(owner["apiVersion"], owner["kind"], owner["name"], namespace)
        if controller is not None:
            return self.find_workload(controller)
        metadata = {"name": owner["name"], "namespace": namespace}
        return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "metadata": metadata}

    def latest_event_message(self, involved: Object, *reasons: str) -> str:
        """The message of the latest event about an object with one of these reasons; empty if there is none."""
        events = [
            event
            for event in self.list("v1", "Event")
            if event["involvedObject"].get("uid") == involved["metadata"]["uid"] and event.get("reason") in reasons
        ]
        return strip_object_name(max(events, key=_last_seen).get("message", "")) if events else ""

    @cached_property
    def _resource_version(self) -> str:
        return self.api.current_resource_version()

    def _by_name(self, api_version: str, kind: str) -> Mapping[tuple[str, str], Object]:
        if (api_version, kind) not in self._listed:
            self._listed[api_version, kind] = {
                (item["metadata"].get("namespace", ""), item["metadata"]["name"]): item
                for item in self.api.list(api_version, kind, self.namespace, resource_version=self._resource_version)
            }
        return self._listed[api_version, kind]


class EmptySnapshot(Snapshot):
    """The snapshot of an empty cluster, or of no cluster."""

    def __init__(self) -> None:
        self.namespace = ""

    def _by_name(self, api_version: str, kind: str) -> Mapping[tuple[str, str], Object]:  # noqa: ARG002
        return {}


def strip_object_name(message: str) -> str:
    """An admission error without the name of its pod, which differs in each attempt."""
    return re.sub(r'^.*?\bpods "[^"]*" is forbidden: |^Error (creating|syncing load balancer): ', "", message)


def _last_seen(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])
