"""AWS's own models of its services' APIs, which botocore contains: one JSON file per service.

Only the files are read; botocore itself is not imported, since it is installed only for the lifecycle package.
Source of the format: https://smithy.io/2.0/aws/aws-core.html and botocore's model.py
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Shape:
    """A shape of a service's model, such as the input of an operation.

    content  the shape in the file, with `type`, `members`, `pattern`, `min`, `max`, `enum` and others
    """

    service: Mapping[str, Any]
    content: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str(self.content["type"])

    @property
    def members(self) -> Mapping[str, Shape]:
        return {name: self._get(reference) for name, reference in self.content.get("members", {}).items()}

    @property
    def item(self) -> Shape:
        """The shape of a list's items, or of a map's values."""
        return self._get(self.content["member" if self.type == "list" else "value"])

    @property
    def key(self) -> Shape:
        return self._get(self.content["key"])

    def _get(self, reference: Mapping[str, Any]) -> Shape:
        return Shape(self.service, self.service["shapes"][reference["shape"]])


def get_operation(folder: Path, operation: str) -> Shape:
    """The input of an operation, such as `eks.CreateCluster`; `folder` is botocore's `data`."""
    service, _, name = operation.partition(".")
    model = _read(folder, service)
    shape = model["operations"][name]["input"]["shape"]
    return Shape(model, model["shapes"][shape])


@cache
def _read(folder: Path, service: str) -> Mapping[str, Any]:
    newest = max(path for path in (folder / service).iterdir() if path.is_dir())
    with gzip.open(newest / "service-2.json.gz", "rt", encoding="utf-8") as file:
        content: Mapping[str, Any] = json.load(file)
    return content
