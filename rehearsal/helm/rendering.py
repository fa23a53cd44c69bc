"""Renders releases with the real Helm, without a cluster, and validates the rendered objects.

Rendered objects are only held in memory. A chart may generate keys and passwords at each rendering (genCA,
randAlphaNum): they protect nothing, but they look like secrets, so they are never written to disk.
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
from rehearsal.helm.charts import Chart, ChartUnavailableError
from rehearsal.kubernetes import schemas

# API versions that the cluster serves in addition to the built-in ones, and their kinds. Helm lists both, since charts
# test for one or the other before they add a monitor.
_MONITORING = "monitoring.coreos.com/v1"
_API_VERSIONS = (_MONITORING, *(f"{_MONITORING}/{kind}" for kind in ("PodMonitor", "PrometheusRule", "ServiceMonitor")))

_TIMEOUT = 60  # seconds; the largest chart takes a few seconds
_MAX_MESSAGE = 600  # characters of an error message: Helm may quote whole documents

_Manifest = Mapping[str, Any]


class RenderError(Exception):
    """A chart does not render with these values, or renders something other than Kubernetes objects."""


@dataclass(frozen=True)
class Release:
    """A Helm release as declared, with all its values."""

    chart: Chart
    name: str
    namespace: str
    values: Mapping[str, Any]

    @classmethod
    def from_inputs(cls, inputs: Mapping[str, Any]) -> Release:
        """The release that a Release resource's inputs declare."""
        return cls(Chart.from_inputs(inputs), str(inputs["name"]), str(inputs["namespace"]), inputs.get("values") or {})


@dataclass(frozen=True)
class RenderedRelease:
    """The objects of a release, or the reason why it was not rendered.

    custom_objects  those of `objects` whose kind is not built into Kubernetes: there is no schema to validate them with
    problems        what the API server would reject in the others
    skip_reason     why the release was not rendered; empty if it was
    """

    objects: Sequence[_Manifest] = ()
    custom_objects: Sequence[_Manifest] = ()
    problems: Sequence[str] = ()
    skip_reason: str = ""


_rendered: dict[str, RenderedRelease] = {}
_lock = threading.Lock()  # rendering two releases at the same time would only slow the first


def render(release: Release) -> RenderedRelease:
    """Render and validate every object of a release, with its CRDs and hooks.

    Cached per process for equal values, unless the chart was missing, since it may become available. Raises RenderError
    if the chart is available and does not render.
    """
    key = json.dumps([repr(release.chart), release.name, release.namespace, release.values], sort_keys=True)
    with _lock:
        rendered = _rendered.get(key) or _render_and_validate(release)
        if not rendered.skip_reason:
            _rendered[key] = rendered
        return rendered


def _render_and_validate(release: Release) -> RenderedRelease:
    try:
        objects = list(parse_manifests(_run_template(release)))
    except ChartUnavailableError as reason:
        return RenderedRelease(skip_reason=str(reason))
    custom = [manifest for manifest in objects if not schemas.is_built_in(manifest)]
    problems = []
    for manifest in objects:
        problem = schemas.find_schema_error(manifest) if schemas.is_built_in(manifest) else None
        if problem:
            problems.append(f"{object_label(release.chart, manifest)}: {problem}")
    return RenderedRelease(objects, custom, problems)


def object_label(chart: Chart, manifest: _Manifest) -> str:
    """How messages and policy exceptions refer to a rendered object: `<chart>/<Kind>/<name>`."""
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"{chart.short_name}/{manifest['kind']}/{name}"


def _run_template(release: Release) -> str:
    package = charts.fetch_package(release.chart)
    with values_file(release.values) as values:
        command = ["template", release.name, str(package), "--namespace", release.namespace, "--values", str(values)]
        command += ["--include-crds", "--kube-version", f"{schemas.VERSION}.0"]
        command += ["--skip-tests"]  # pods that only `helm test` starts
        command += [argument for version in _API_VERSIONS for argument in ("--api-versions", version)]
        try:
            reply = cli.run(command, _TIMEOUT)
        except cli.HelmUnavailableError as error:
            raise ChartUnavailableError(str(error)) from None
        except subprocess.TimeoutExpired:
            raise RenderError(f"rendering took longer than {_TIMEOUT} s") from None
    if reply.returncode != 0:
        raise RenderError(_shorten_error(reply.stderr))
    return reply.stdout


@contextmanager
def values_file(values: Mapping[str, Any]) -> Iterator[Path]:
    """A temporary file with the values that only this user may read; a command line is visible to all users."""
    descriptor, name = tempfile.mkstemp(prefix="values-", suffix=".yaml")  # created with mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(values, file)  # JSON is YAML, and keeps strings strings
        yield Path(name)
    finally:
        os.unlink(name)


def parse_manifests(text: str) -> Iterator[Mapping[str, Any]]:
    """The objects in a chart's rendered YAML. Raises RenderError."""
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        # The parser's own message quotes the text, which may be secret.
        mark = getattr(error, "problem_mark", None)
        raise RenderError("the chart renders invalid YAML" + (f" (line {mark.line + 1})" if mark else "")) from None
    for document in documents:
        yield from _flatten(document)


def _flatten(document: Any) -> Iterator[_Manifest]:
    """The objects in a document: none if it is empty, each item of a List."""
    if document is None:
        return
    if not isinstance(document, Mapping) or not document.get("kind") or not document.get("apiVersion"):
        raise RenderError("the chart renders a document without apiVersion and kind")
    if str(document["kind"]).endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _flatten(item)
    else:
        yield document


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads YAML as Kubernetes does: dates and `=` are strings, for which PyYAML has separate types."""


_STRING_TAGS = frozenset("tag:yaml.org,2002:" + name for name in ("timestamp", "value"))
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in _STRING_TAGS]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _shorten_error(output: str) -> str:
    """Helm's last error message without warnings and advice, on one line."""
    _, error, message = output.rpartition("Error: ")
    text = (message if error else output).replace("Use --debug flag to render out invalid YAML", "")
    return cli.shorten(text, _MAX_MESSAGE)
