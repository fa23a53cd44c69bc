"""Single resources to estimate, and assumptions with round figures for a month."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from estimates import Resource

USAGE: Mapping[str, float] = {
    "nodeHours": 730,
    "databaseHours": 730,
    "trainingHours": 10,
    "networkGb": 100,
    "objectsGb": 50,
    "imagesGb": 5,
    "logsGb": 20,
    "flowLogsGb": 5,
    "tableGb": 2,
    "tableRequestsMillion": 3,
    "requestsMillion": 1,
}
_REGIONS = {"aws": {"region": "eu-west-1"}, "azure-native": {"location": "westeurope"}}


def provider(cloud: str) -> Resource:
    """The provider of `aws` or `azure-native`, which sets the region."""
    type_ = f"pulumi:providers:{cloud}"
    return Resource(f"urn::{type_}::cloud", type_, _REGIONS[cloud])


def resource(type_: str, name: str = "one", depends_on: tuple[str, ...] = (), **inputs: Any) -> Resource:
    return Resource(f"urn::{type_}::{name}", type_, inputs, "", depends_on)
