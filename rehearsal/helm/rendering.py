"""What Helm makes of a chart and its values: the real Helm, the real chart, no cluster.

Rendered objects live in memory only. A chart may make keys and passwords at each rendering (genCA, randAlphaNum): they
are nobody's secrets, but they look like some, so nothing of them is written down.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rehearsal.helm import charts, cli
from rehearsal.helm.charts import Chart, NotObtainable
from rehearsal.kubernetes import schemas

# What the cluster serves beside Kubernetes' own kinds: charts ask before they bring a ServiceMonitor.
_API_VERSIONS = ("monitoring.coreos.com/v1",)

_PATIENCE = 60  # seconds; the largest chart takes a few
_LONGEST = 600  # characters of a refusal; Helm may quote whole documents

_Manifest = Mapping[str, Any]


class RenderError(Exception):
    """What Helm says of a chart that does not render with these values, or renders to something that is no object."""


@dataclass(frozen=True)
class Release:
    """A Helm release as it is asked for, its values in full."""

    chart: Chart
    name: str
    namespace: str
    values: Mapping[str, Any]

    @classmethod
    def of(cls, inputs: Mapping[str, Any]) -> Release:
        """A release from the inputs of a Release resource."""
        return cls(Chart.of(inputs), str(inputs["name"]), str(inputs["namespace"]), inputs.get("values") or {})


@dataclass(frozen=True)
class Rendered:
    """What became of a release: its objects, or the reason why there are none to look at.

    custom      the objects of kinds that are not Kubernetes' own: there is no schema to check them against
    complaints  what the API server would say of the others
    reason      why the release was not rendered; empty when it was
    """

    objects: Sequence[_Manifest] = ()
    custom: Sequence[_Manifest] = ()
    complaints: Sequence[str] = ()
    reason: str = ""


_done: dict[str, Rendered] = {}
_one_at_a_time = threading.Lock()  # of two releases that arrive together the second would only slow the first


def render(release: Release) -> Rendered:
    """Every object of a release, its CRDs and hooks among them, checked; done once in a process for the same values.

    Raises RenderError where the chart is at hand and does not render.
    """
    key = json.dumps([repr(release.chart), release.name, release.namespace, release.values], sort_keys=True)
    with _one_at_a_time:
        if key not in _done:
            _done[key] = _checked(release)
        return _done[key]


def _checked(release: Release) -> Rendered:
    try:
        objects = list(_parsed(_template(release)))
    except NotObtainable as reason:
        return Rendered(reason=str(reason))
    custom = [manifest for manifest in objects if not schemas.is_built_in(manifest)]
    complaints = []
    for manifest in objects:
        complaint = schemas.complaint(manifest) if schemas.is_built_in(manifest) else None
        if complaint:
            complaints.append(f"{label(release.chart, manifest)}: {complaint}")
    return Rendered(objects, custom, complaints)


def label(chart: Chart, manifest: _Manifest) -> str:
    """What messages and exceptions call a rendered object: `<chart>/<Kind>/<name>`."""
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"{chart.name.rpartition('/')[2]}/{manifest['kind']}/{name}"


def _template(release: Release) -> str:
    package = charts.obtain(release.chart)
    with values_file(release.values) as values:
        command = ["template", release.name, str(package), "--namespace", release.namespace, "--values", str(values)]
        command += ["--include-crds", "--kube-version", f"{schemas.VERSION}.0"]
        command += ["--skip-tests"]  # pods that nobody starts but `helm test`
        command += [argument for version in _API_VERSIONS for argument in ("--api-versions", version)]
        try:
            reply = cli.run(command, _PATIENCE)
        except cli.Unavailable as error:
            raise NotObtainable(str(error)) from None
        except subprocess.TimeoutExpired:
            raise RenderError(f"rendering took longer than {_PATIENCE} s") from None
    if reply.returncode != 0:
        raise RenderError(_trimmed(reply.stderr))
    return reply.stdout


@contextmanager
def values_file(values: Mapping[str, Any]) -> Iterator[Path]:
    """Values in a file that nobody else may read, for as long as Helm needs it; a command line is there for all."""
    descriptor, name = tempfile.mkstemp(prefix="values-", suffix=".yaml")  # made with mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(values, file)  # which is YAML, and keeps strings strings
        yield Path(name)
    finally:
        os.unlink(name)


def _parsed(text: str) -> Iterator[_Manifest]:
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        # The parser's message would quote what stands there.
        mark = getattr(error, "problem_mark", None)
        raise RenderError(
            "the chart renders to what is no YAML" + (f" (line {mark.line + 1})" if mark else "")
        ) from None
    for document in documents:
        yield from _flat(document)


def _flat(document: Any) -> Iterator[_Manifest]:
    """The objects of a document: none of an empty one, each item of a list."""
    if document is None:
        return
    if not isinstance(document, Mapping) or not document.get("kind") or not document.get("apiVersion"):
        raise RenderError("the chart renders to a document without apiVersion and kind")
    if str(document["kind"]).endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _flat(item)
    else:
        yield document


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as Kubernetes reads it: dates are strings there, and so is `=`, which the parser has a meaning for."""


_PLAIN = frozenset("tag:yaml.org,2002:" + name for name in ("timestamp", "value"))
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in _PLAIN]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _trimmed(said: str) -> str:
    """Helm's complaint without its warnings and its advice, in one line of bearable length."""
    _, error, complaint = said.rpartition("Error: ")
    text = " ".join((complaint if error else said).replace("Use --debug flag to render out invalid YAML", "").split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
