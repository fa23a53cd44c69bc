"""Simulated: the API server's Jobs and pods of one namespace, in memory, behind the methods of KubernetesClient.

It refuses a second object of a name and a change of an object that has changed since, as the real one does; the
project's tests/cluster run the client against that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lifecycle.retraining.jobs import MODEL_LABEL, Job, Manifest
from lifecycle.retraining.kubernetes_client import ConflictError, UnavailableError


class SimulatedJobs:
    """`before_create` is called by each creation before it begins, to have others come first."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.is_away = False
        self.before_create: Callable[[], object] = lambda: None
        self.manifests: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, list[Manifest]] = {}
        self._clock = clock
        self._lock = threading.Lock()
        self._changes = 0

    def list_jobs(self, model: str = "") -> Sequence[Job]:
        self._answer()
        found = [Job.from_manifest(each) for each in self.manifests.values()]
        return [job for job in found if model in ("", job.model)]

    def create_job(self, manifest: Manifest) -> Job:
        self.before_create()
        self._answer()
        with self._lock:
            name = manifest["metadata"]["name"]
            if name in self.manifests:
                raise ConflictError
            created = self._clock().isoformat(timespec="seconds").replace("+00:00", "Z")
            metadata = {**manifest["metadata"], "creationTimestamp": created, "resourceVersion": self._count()}
            self.manifests[name] = {**manifest, "metadata": metadata}
            return Job.from_manifest(self.manifests[name])

    def annotate(self, job: Job, annotations: Mapping[str, str]) -> Job:
        self._answer()
        with self._lock:
            metadata = self.manifests[job.name]["metadata"]
            if metadata["resourceVersion"] != job.version:
                raise ConflictError
            metadata["annotations"] = {**metadata.get("annotations", {}), **annotations}
            metadata["resourceVersion"] = self._count()
            return Job.from_manifest(self.manifests[job.name])

    def list_pods(self, job: Job) -> Sequence[Manifest]:
        self._answer()
        return self.pods.get(job.name, [])

    def end(self, name: str, condition: str = "Complete", **terminated: Any) -> None:
        """End a Job, with the end of its container if there is any."""
        reason = {"reason": "PodFailurePolicy", "message": "the pod failed"} if condition == "Failed" else {}
        self.manifests[name]["status"] = {"conditions": [{"type": condition, "status": "True", **reason}]}
        self.manifests[name]["metadata"]["resourceVersion"] = self._count()
        if terminated:
            self.pods[name] = [{"status": {"containerStatuses": [{"state": {"terminated": terminated}}]}}]

    @property
    def models(self) -> list[str]:
        """The models of all runs, in the order of their start."""
        return [each["metadata"]["labels"][MODEL_LABEL] for each in self.manifests.values()]

    def _answer(self) -> None:
        if self.is_away:
            raise UnavailableError("The API server does not answer")

    def _count(self) -> str:
        self._changes += 1
        return str(self._changes)
