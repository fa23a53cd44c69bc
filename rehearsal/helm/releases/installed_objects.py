"""The objects that the deployed Helm releases of a cluster declare, read from Helm's own records."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rehearsal.helm.releases.revisions import list_deployed
from rehearsal.helm.rendering import parse_manifests
from rehearsal.kubernetes.client import ApiClient, Object
from rehearsal.kubernetes.readiness.presence import DeclaredObjects

_SEPARATOR = re.compile(r"^---[ \t]*$", re.MULTILINE)
# CRDs are megabytes of YAML, of which only the name is needed.
_DEFINITION = re.compile(r"^kind: CustomResourceDefinition\s*$", re.MULTILINE)
_VERSION = re.compile(r"^apiVersion: (\S+)\s*$", re.MULTILINE)
# One space, since a line that can match in several ways makes the time exponential in the number of lines.
_NAME = re.compile(r"^metadata:\n(?: .*\n)*?  name: \"?([^\s\"]+)", re.MULTILINE)


def list_installed(api: ApiClient) -> Iterator[DeclaredObjects]:
    """The objects of each deployed release, without hooks and without the CRDs of its chart's `crds` folder."""
    for revision in list_deployed(api):
        record = revision.record
        name, namespace = record["name"], record["namespace"]
        yield DeclaredObjects(
            declarer=f"release {name}",
            remedy=f"The engine does not compare the objects inside a release. In `make shell`, "
            f"`helm rollback {name} {revision.number} --namespace {namespace}` restores them.",
            objects=list(_parse(record.get("manifest", ""))),
            namespace=namespace,
        )


def _parse(manifest: str) -> Iterator[Object]:
    for document in _SEPARATOR.split(manifest):
        version, name = _VERSION.search(document), _NAME.search(document)
        if _DEFINITION.search(document) and version and name:
            yield {"apiVersion": version[1], "kind": "CustomResourceDefinition", "metadata": {"name": name[1]}}
        else:
            yield from parse_manifests(document)
