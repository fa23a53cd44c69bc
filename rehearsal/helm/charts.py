"""Helm chart packages: their sources, and validation of values against their schemas.

A package is looked up in the folder named by GROUNDWORK_CHARTS (as `<chart>-<version>.tgz`), then in the cache, and is
otherwise pulled from the chart's repository. A pulled package must have the digest that the project pins. Packages in
the folder are trusted without a digest, since repackaging a chart changes it.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from kernel.values import UNKNOWN
from rehearsal import project, toolchain
from rehearsal.console import UserError
from rehearsal.helm import cli
from rehearsal.simulator.core.errors import CloudError

FOLDER_VARIABLE = "GROUNDWORK_CHARTS"
"""The environment variable that names a folder of chart packages."""

# Helm's message if a repository, or an OCI registry, answers but does not have the version.
_NOT_FOUND = re.compile(r'version "[^"]*" not found in|: not found\s*$')

_PULL_TIMEOUT = 20  # seconds: a network without a route must not delay a rehearsal for long


class ChartUnavailableError(Exception):
    """A chart's package is not available on this machine, which is not a fault of the chart; the message is why."""


class DigestMismatchError(CloudError, UserError):
    """A pulled package does not have the pinned digest: the release is refused, and a person has to find out why."""


class NoSuchVersionError(CloudError, UserError):
    """The chart's repository does not have the version: the release is refused, as Helm would do."""


_UNAVAILABLE = (ChartUnavailableError, DigestMismatchError, NoSuchVersionError)


@dataclass(frozen=True)
class Chart:
    """A chart as a release refers to it. `name` may be an `oci://` address, which includes the repository."""

    name: str
    version: str
    repository: str = ""

    @classmethod
    def from_inputs(cls, release: Mapping[str, Any]) -> Chart:
        """The chart that a Release resource's inputs refer to."""
        options = release.get("repositoryOpts") or {}
        return cls(str(release.get("chart")), str(release.get("version")), str(options.get("repo") or ""))

    @classmethod
    def from_pin(cls, name: str, pin: Mapping[str, str]) -> Chart:
        """The chart of an entry of the project's pinned charts."""
        repository = pin["repository"]
        return cls(f"{repository}/{name}" if repository.startswith("oci://") else name, pin["version"], repository)

    @property
    def short_name(self) -> str:
        """The name without the address of a registry."""
        return self.name.rpartition("/")[2]

    @property
    def file_name(self) -> str:
        return f"{self.short_name}-{self.version}.tgz"


def pinned_charts() -> Mapping[str, Mapping[str, str]]:
    """Version, repository and digest of the platform's charts, keyed by name."""
    path = project.current().charts
    pinned: Mapping[str, Mapping[str, str]] = yaml.safe_load(path.read_text()) if path else {}
    return pinned


def find_package(chart: Chart) -> Path | None:
    """The chart's package on this machine at exactly this version, or None.

    A cached package without the pinned digest is removed: it is incomplete, or the pin has changed since.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder and (Path(folder) / chart.file_name).is_file():
        return Path(folder) / chart.file_name
    cached = _cache_folder() / chart.file_name
    if cached.is_file() and _describe_mismatch(chart, cached):
        cached.unlink(missing_ok=True)
    return cached if cached.is_file() else None


def fetch_package(chart: Chart) -> Path:
    """The chart's package, pulled from its repository if it is not on this machine.

    Raises ChartUnavailableError if it cannot be pulled, NoSuchVersionError if its repository does not have the version,
    and DigestMismatchError if the repository serves another package than the pinned one. A pull that failed because the
    package is unavailable is not repeated within a process, since the cause rarely disappears that fast.
    """
    package = find_package(chart)
    if package:
        return package
    reason = _pull(chart)
    if reason:
        raise ChartUnavailableError(reason)
    return _cache_folder() / chart.file_name


def available_charts() -> list[str]:
    """The names of the project's charts whose packages are on this machine or can be pulled."""
    return [name for name, pin in pinned_charts().items() if _is_available(Chart.from_pin(name, pin))]


def explain_none_available() -> str:
    """Why none of the project's charts is available, with the reason for the first; empty if one is available.

    Also empty if the project pins no charts.
    """
    pinned = [Chart.from_pin(name, pin) for name, pin in pinned_charts().items()]
    if not pinned or available_charts():
        return ""
    try:
        fetch_package(pinned[0])
    except _UNAVAILABLE as error:
        reason = f"{pinned[0].short_name}: {error}"
    return (
        f"none of the project's {len(pinned)} charts is on this machine or can be pulled ({reason}). "
        f"Set {FOLDER_VARIABLE} to a folder with them, or make their repositories reachable"
    )


def list_unavailable() -> list[str]:
    """The names of the project's charts that are not on this machine and cannot be pulled."""
    available = available_charts()
    return [name for name in pinned_charts() if name not in available]


def _is_available(chart: Chart) -> bool:
    try:
        fetch_package(chart)
    except _UNAVAILABLE:
        return False
    return True


@cache
def _pull(chart: Chart) -> str:
    """Pull a package into the cache, where it appears only once complete; returns why that failed, or ""."""
    source = [chart.name] if chart.name.startswith("oci://") else [chart.name, "--repo", chart.repository]
    if not chart.repository and len(source) > 1:
        return "the release names no repository"
    _cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_cache_folder()) as scratch:
        try:
            reply = cli.run(["pull", *source, "--version", chart.version, "--destination", scratch], _PULL_TIMEOUT)
        except subprocess.TimeoutExpired:
            return f"its repository did not answer within {_PULL_TIMEOUT} s"
        except cli.HelmUnavailableError as error:
            return str(error)
        if reply.returncode != 0 and _NOT_FOUND.search(reply.stderr):
            raise NoSuchVersionError(_describe_missing_version(chart))
        if reply.returncode != 0:
            return cli.last_line(reply.stderr)
        pulled = Path(scratch) / chart.file_name
        if not pulled.is_file():
            return f"the repository did not serve version {chart.version}"
        mismatch = _describe_mismatch(chart, pulled)
        if mismatch:
            raise DigestMismatchError(mismatch)
        pulled.rename(_cache_folder() / chart.file_name)
    return ""


def _describe_mismatch(chart: Chart, package: Path) -> str:
    """How a pulled package differs from the pinned one; empty if its digest matches, or if none is pinned."""
    pinned = pinned_charts().get(chart.short_name, {})
    if pinned.get("version") != chart.version or "digest" not in pinned:
        return ""
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    if digest == pinned["digest"]:
        return ""
    rehearsed = project.current()
    pins_file = rehearsed.shorten(rehearsed.require("charts"))
    return (
        f"The package {chart.file_name} from {chart.repository or chart.name} does not have the pinned digest and was "
        f"removed: its SHA-256 is {digest}, {pins_file} pins {pinned['digest']}. The published "
        "package has changed: find out why before you pin the new digest."
    )


def _describe_missing_version(chart: Chart) -> str:
    pins = project.current().charts
    pinned = pins is not None and pinned_charts().get(chart.name.rpartition("/")[2], {}).get("version") == chart.version
    where = f"in {project.current().shorten(pins)}" if pins and pinned else "of the release"
    repository = "" if chart.name.startswith("oci://") else f" --repo {chart.repository}"
    return (
        f"The chart {chart.name} has no version {chart.version} in {chart.repository or chart.name}. Remedy: set a "
        f"version {where} that the repository has; `helm show chart {chart.name}{repository}` shows the latest."
    )


def _cache_folder() -> Path:
    return toolchain.CACHE / "charts"


def validate_values(path: Path, values: Mapping[str, Any]) -> list[str]:
    """Violations of the chart's values.schema.json by these values merged over its defaults, as Helm checks them.

    Empty if the chart has no schema. Errors at an unknown value, or at an object that contains one, are omitted.
    """
    schema = _read_member(path, "values.schema.json")
    if schema is None:
        return []
    merged = _merge_values(_read_member(path, "values.yaml") or {}, values)
    unknown = list(_unknown_paths(merged))
    validator = jsonschema.validators.validator_for(schema)(schema)
    found = {}
    for error in validator.iter_errors(merged):
        place = tuple(error.absolute_path)
        if not any(location[: len(place)] == place for location in unknown):
            found[".".join(map(str, place)) or "values"] = error.message
    return [f"{place}: {message}" for place, message in sorted(found.items())]


def _unknown_paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if value is UNKNOWN:
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _unknown_paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown_paths(item, (*path, index))


def _merge_values(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values merged over a chart's defaults as Helm does it: maps are merged, null removes, anything else replaces."""
    merged = {**defaults, **values}
    for key, default in defaults.items():
        if isinstance(default, Mapping) and isinstance(merged[key], Mapping):
            merged[key] = _merge_values(default, merged[key])
    return {key: value for key, value in merged.items() if value is not None or key not in values}


@cache
def _read_member(path: Path, name: str) -> Any:
    """The parsed YAML or JSON file at the top level of a chart, not of a subchart; None if it does not exist.

    Read-only: the engine has each release checked several times, and every caller gets the same object.
    """
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.count("/") == 1 and member.name.endswith(f"/{name}"):
                file = archive.extractfile(member)
                return yaml.load(file, Loader=yaml.CSafeLoader) if file else None
    return None
