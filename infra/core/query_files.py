"""The queries of platform/queries, which each cloud's log store runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from infra.core.settings import Cloud

FOLDER = Path(__file__).resolve().parents[2] / "platform" / "queries"
_SUFFIXES = {Cloud.AZURE: ".kql", Cloud.AWS: ".insights"}
_ALERTS = "alerts"


def read_queries(cloud: Cloud) -> Mapping[str, str]:
    """The queries that people run, keyed by name."""
    return _read(FOLDER / cloud, _SUFFIXES[cloud])


def read_alert_queries(cloud: Cloud) -> Mapping[str, str]:
    """The queries of alerts, keyed by name."""
    return _read(FOLDER / cloud / _ALERTS, _SUFFIXES[cloud])


def describe_query(name: str) -> str:
    """A query's name as a heading: `Model performance`."""
    return name.replace("-", " ").capitalize().replace("Ab ", "A/B ")


def _read(folder: Path, suffix: str) -> Mapping[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob(f"*{suffix}"))}
