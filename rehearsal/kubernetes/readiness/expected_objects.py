"""Secrets and ConfigMaps that exist only in a real cluster, because here the process that creates them is simulated.

They are created by hooks of Helm releases, cert-manager and External Secrets.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Collection, Iterable, Iterator
from functools import cache, cached_property

import yaml

from rehearsal.kubernetes.client import Object
from rehearsal.kubernetes.readiness.snapshot import Snapshot


class ExpectedObjects:
    """The objects that simulated processes would have created in the cluster of a snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def includes(self, namespace: str, name: str) -> bool:
        return (namespace, name) in self._names

    @cached_property
    def _names(self) -> Collection[tuple[str, str]]:
        return {*_created_by_hooks(self._snapshot.list("v1", "Secret")), *_created_by_controllers(self._snapshot)}


def _created_by_hooks(secrets: Iterable[Object]) -> Iterator[tuple[str, str]]:
    """The objects that Helm's release records mention: a completed hook has often been deleted from the cluster."""
    for secret in secrets:
        if secret.get("type") == "helm.sh/release.v1":
            namespace = secret["metadata"]["namespace"]
            yield from ((namespace, name) for name in _names_in_hooks(secret["data"]["release"]))


@cache
def _names_in_hooks(release: str) -> Collection[str]:
    """The names that a release's hooks, other than its tests, mention in arguments or in Roles.

    kube-webhook-certgen takes the name of its Secret as an argument; the hook that creates Argo CD's password has a
    Role for it. Source: https://helm.sh/docs/topics/charts_hooks/, pkg/storage/driver/util.go of Helm
    """
    record = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(release))))
    hooks = [hook["manifest"] for hook in record.get("hooks") or () if "test" not in hook["events"]]
    return {name for manifest in hooks for name in _mentioned_names(manifest)}


def _mentioned_names(manifest: str) -> Iterator[str]:
    hook = yaml.safe_load(manifest) or {}
    for rule in hook.get("rules") or ():
        yield from rule.get("resourceNames", ())
    if hook.get("kind") == "Job":
        for container in hook["spec"]["template"]["spec"]["containers"]:
            for argument in (*container.get("command", ()), *container.get("args", ())):
                yield str(argument).rpartition("=")[2]


def _created_by_controllers(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Source: https://cert-manager.io/docs/usage/certificate/, https://external-secrets.io/latest/api/externalsecret/"""
    for certificate in snapshot.list("cert-manager.io/v1", "Certificate"):
        yield certificate["metadata"]["namespace"], certificate["spec"]["secretName"]
    for external_secret in snapshot.list("external-secrets.io/v1", "ExternalSecret"):
        metadata = external_secret["metadata"]
        yield metadata["namespace"], external_secret["spec"].get("target", {}).get("name") or metadata["name"]
