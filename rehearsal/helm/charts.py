"""Helm charts: where their packages come from, and what their own schemas say of values.

A package is looked for in the folder that GROUNDWORK_CHARTS names, as `<chart>-<version>.tgz`, then among those pulled
before, and then pulled from the chart's repository, which works only where the network allows it. What is pulled has to
be what infra/cluster/charts.yaml pins. Packages in the folder are the person's own word: they may be packed anew, which
gives them another digest, and are taken as they are.
"""

from __future__ import annotations

import hashlib
import os
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
from rehearsal import toolchain
from rehearsal.console import UserError
from rehearsal.helm import cli
from rehearsal.simulator.core.errors import CloudError

VARIABLE = "GROUNDWORK_CHARTS"

PINS = toolchain.ROOT / "infra" / "cluster" / "charts.yaml"
"""Charts by name: the version, the repository, and the digest of the package (SHA-256, hexadecimal)."""

_PATIENCE = 20  # seconds for a pull: a network that lets nothing through must not hold up a rehearsal


class NotObtainable(Exception):
    """Why a chart cannot be had here. Nothing is wrong with the chart for that."""


class WrongPackage(CloudError, UserError):
    """A package that is not the one pinned: refuses the release, and is a person's to look into."""


@dataclass(frozen=True)
class Chart:
    """A chart as a release names it: `name` may be an oci:// address, which brings its repository with it."""

    name: str
    version: str
    repository: str = ""

    @classmethod
    def of(cls, release: Mapping[str, Any]) -> Chart:
        """The chart of a Helm release's inputs."""
        options = release.get("repositoryOpts") or {}
        return cls(str(release.get("chart")), str(release.get("version")), str(options.get("repo") or ""))

    @property
    def file(self) -> str:
        return f"{self.name.rpartition('/')[2]}-{self.version}.tgz"


def pins() -> Mapping[str, Mapping[str, str]]:
    """Version, repository and digest of the platform's charts, by name."""
    pinned: Mapping[str, Mapping[str, str]] = yaml.safe_load(PINS.read_text())
    return pinned


def package(chart: Chart) -> Path | None:
    """The package of a chart at exactly this version, None when it is not on this machine.

    One among the pulled that is not what is pinned is removed: it was cut short, or pinned anew.
    """
    named = os.environ.get(VARIABLE)
    if named and (Path(named) / chart.file).is_file():
        return Path(named) / chart.file
    pulled = _pulled() / chart.file
    if pulled.is_file() and _wrong(chart, pulled):
        pulled.unlink(missing_ok=True)
    return pulled if pulled.is_file() else None


def obtain(chart: Chart) -> Path:
    """The package of a chart, pulled where it is not on this machine; raises NotObtainable, and WrongPackage where the
    repository gives another one than is pinned.

    A pull that failed is remembered for as long as the process lives: the reason seldom goes away in that time.
    """
    found = package(chart)
    if found:
        return found
    reason = _pull(chart)
    if reason:
        raise NotObtainable(reason)
    return _pulled() / chart.file


@cache
def _pull(chart: Chart) -> str:
    """Pull a package into the cache, where it appears only when it is whole; gives the reason if it cannot be had."""
    source = [chart.name] if chart.name.startswith("oci://") else [chart.name, "--repo", chart.repository]
    if not chart.repository and len(source) > 1:
        return "the release names no repository"
    _pulled().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_pulled()) as scratch:
        try:
            reply = cli.run(["pull", *source, "--version", chart.version, "--destination", scratch], _PATIENCE)
        except subprocess.TimeoutExpired:
            return f"its repository did not answer within {_PATIENCE} s"
        except cli.Unavailable as error:
            return str(error)
        if reply.returncode != 0:
            return cli.last_line(reply.stderr)
        brought = Path(scratch) / chart.file
        if not brought.is_file():
            return "what the repository gave is not the version asked for"
        wrong = _wrong(chart, brought)
        if wrong:
            raise WrongPackage(wrong)
        brought.rename(_pulled() / chart.file)
    return ""


def _wrong(chart: Chart, package: Path) -> str:
    """What is wrong with a package that came from a repository: empty where it is what is pinned, or nothing is."""
    pinned = pins().get(chart.name.rpartition("/")[2], {})
    if pinned.get("version") != chart.version:
        return ""
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    if digest == pinned["digest"]:
        return ""
    return (
        f"The package {chart.file} from {chart.repository or chart.name} is not the one that is pinned, and was "
        f"removed: its SHA-256 is {digest}, {PINS.relative_to(toolchain.ROOT)} has {pinned['digest']}. What is "
        "published was changed: find out why before you pin the digest anew."
    )


def _pulled() -> Path:
    return toolchain.CACHE / "charts"


def complaints(path: Path, values: Mapping[str, Any]) -> list[str]:
    """What the chart's own values.schema.json says against these values over its defaults, as Helm judges them.

    Empty when the chart has no schema. Where a value is not known yet, nothing is said of it nor of what it stands in.
    """
    schema = _member(path, "values.schema.json")
    if schema is None:
        return []
    whole = _coalesce(_member(path, "values.yaml") or {}, values)
    unknown = list(_unknown_paths(whole))
    validator = jsonschema.validators.validator_for(schema)(schema)
    found = {}
    for error in validator.iter_errors(whole):
        place = tuple(error.absolute_path)
        if not any(hidden[: len(place)] == place for hidden in unknown):
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


def _coalesce(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values over a chart's defaults: maps are merged, null removes, everything else replaces."""
    merged = {**defaults, **values}
    for key, default in defaults.items():
        if isinstance(default, Mapping) and isinstance(merged[key], Mapping):
            merged[key] = _coalesce(default, merged[key])
    return {key: value for key, value in merged.items() if value is not None or key not in values}


def _member(path: Path, name: str) -> Any:
    """A YAML or JSON file at the top of a chart; a subchart's lies deeper."""
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.count("/") == 1 and member.name.endswith(f"/{name}"):
                file = archive.extractfile(member)
                return yaml.safe_load(file) if file else None
    return None
