"""Helm chart packages on this machine.

They are looked for in the folder that GROUNDWORK_CHARTS names, as `<chart>-<version>.tgz`.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema

VARIABLE = "GROUNDWORK_CHARTS"


def package(chart: str, version: str) -> Path | None:
    """The package of a chart at exactly this version, None when it is not here."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return None
    path = Path(folder) / f"{chart}-{version}.tgz"
    return path if path.is_file() else None


def has_schema(path: Path) -> bool:
    return _schema(path) is not None


def complaints(path: Path, values: Mapping[str, Any]) -> list[str]:
    """What the chart's own values.schema.json says against these values; empty when it has none."""
    schema = _schema(path)
    if schema is None:
        return []
    validator = jsonschema.validators.validator_for(schema)(schema)
    errors = sorted(validator.iter_errors(values), key=lambda error: list(error.absolute_path))
    return [f"{'.'.join(map(str, error.absolute_path)) or 'values'}: {error.message}" for error in errors]


def _schema(path: Path) -> Any:
    with tarfile.open(path) as archive:
        for member in archive:
            # Only the chart's own schema: a subchart's lies deeper.
            if member.name.count("/") == 1 and member.name.endswith("/values.schema.json"):
                file = archive.extractfile(member)
                return json.load(file) if file else None
    return None
