"""Helm chart packages on this machine.

They are looked for in the folder that GROUNDWORK_CHARTS names, as `<chart>-<version>.tgz`.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from rehearsal.cloud.values import UNKNOWN

VARIABLE = "GROUNDWORK_CHARTS"


def package(chart: str, version: str) -> Path | None:
    """The package of a chart at exactly this version, None when it is not here."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return None
    path = Path(folder) / f"{chart}-{version}.tgz"
    return path if path.is_file() else None


def has_schema(path: Path) -> bool:
    return _member(path, "values.schema.json") is not None


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
