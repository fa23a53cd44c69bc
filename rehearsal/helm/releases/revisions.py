"""Reads the revisions of a release that Helm stores in the cluster, one Secret each.

The Secrets are named `sh.helm.release.v1.<name>.v<revision>` and labelled with name, status and version; the record in
them is JSON, gzipped and base64-encoded. Source: https://helm.sh/docs/topics/advanced/#storage-backends and
https://github.com/helm/helm/blob/v3.20.2/pkg/storage/driver/util.go
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rehearsal.helm.rendering import parse_manifests
from rehearsal.kubernetes.client import ApiClient, Object

_ROLLBACK = re.compile(r"Rollback to (\d+)")  # how Helm describes a revision that a rollback created


@dataclass(frozen=True)
class Revision:
    """One revision of a release.

    number  starts at 1
    status  `deployed`, `failed`, `pending-install`, `pending-upgrade`, `superseded`...
    """

    number: int
    status: str
    secret: Object

    @property
    def is_pending(self) -> bool:
        """Whether an operation is in progress, or was interrupted: Helm refuses to start another."""
        return self.status.startswith("pending-")

    @property
    def rolled_back_to(self) -> int | None:
        """The revision that this one restores, if a rollback created it."""
        found = _ROLLBACK.match(self.record["info"].get("description", ""))
        return int(found[1]) if found else None

    @property
    def outputs(self) -> Mapping[str, Any]:
        """The `status` output of a Release resource."""
        chart = self.record["chart"]["metadata"]
        return {
            "status": self.status,
            "revision": self.number,
            "chart": chart["name"],
            "version": chart["version"],
            "appVersion": chart.get("appVersion", ""),
            "name": self.record["name"],
            "namespace": self.record["namespace"],
        }

    @property
    def hooks(self) -> Sequence[Mapping[str, Any]]:
        """The hooks, each with name, kind and manifest."""
        return self.record.get("hooks") or ()

    @property
    def objects(self) -> Sequence[Object]:
        """The installed objects, without hooks and without the CRDs of the chart's `crds` folder."""
        return list(parse_manifests(self.record.get("manifest", "")))

    @property
    def record(self) -> Mapping[str, Any]:
        encoded = base64.b64decode(self.secret["data"]["release"])
        record: Mapping[str, Any] = json.loads(gzip.decompress(base64.b64decode(encoded)))
        return record


def list_revisions(api: ApiClient, namespace: str, name: str) -> Sequence[Revision]:
    """All revisions of a release, the latest last; empty if there is no such release."""
    found = [
        Revision(int(labels["version"]), labels["status"], secret)
        for secret in api.list("v1", "Secret", namespace, label_selector=f"owner=helm,name={name}")
        for labels in [secret["metadata"]["labels"]]
    ]
    return sorted(found, key=lambda revision: revision.number)


def list_deployed(api: ApiClient) -> Sequence[Revision]:
    """The deployed revision of each release."""
    secrets = api.list("v1", "Secret", label_selector="owner=helm,status=deployed")
    return [Revision(int(found["metadata"]["labels"]["version"]), "deployed", found) for found in secrets]


def find_latest(api: ApiClient, namespace: str, name: str) -> Revision | None:
    found = list_revisions(api, namespace, name)
    return found[-1] if found else None
