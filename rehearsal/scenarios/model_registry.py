"""Reads the model registry for a scenario, through MLflow's REST API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from rehearsal.console import UserError
from rehearsal.scenarios.environment import ScenarioEnvironment

MODEL = "breast-cancer"  # the training's default

_TIMEOUT = 30  # seconds for a response


def find_webhooks(environment: ScenarioEnvironment) -> Any:
    """The registered webhooks; empty if there are none."""
    return _get(environment, "webhooks").get("webhooks")


def get_aliases(environment: ScenarioEnvironment) -> Mapping[str, str]:
    """The model's versions, keyed by alias."""
    aliases = _get(environment, "registered-models/get", name=MODEL).get("registered_model", {}).get("aliases", [])
    return {alias["alias"]: str(alias["version"]) for alias in aliases}


def get_challenger(environment: ScenarioEnvironment) -> str:
    """The version with the alias `challenger`. Raises UserError if there is none."""
    challenger = get_aliases(environment).get("challenger")
    if challenger is None:
        raise UserError(f"The registry has no challenger of {MODEL} after its training.")
    return challenger


def get_tags(environment: ScenarioEnvironment, version: str) -> Mapping[str, str]:
    """A version's tags; none if there is no such version."""
    return {tag["key"]: str(tag["value"]) for tag in _get_version(environment, version).get("tags", [])}


def list_artifacts(environment: ScenarioEnvironment, version: str, folder: str) -> list[str]:
    """The paths of the files in a folder of the artifacts of a version's run."""
    run = _get_version(environment, version).get("run_id", "")
    files = _get(environment, "artifacts/list", run_id=run, path=folder).get("files", [])
    return sorted(str(file["path"]) for file in files)


def _get_version(environment: ScenarioEnvironment, version: str) -> Mapping[str, Any]:
    content = _get(environment, "model-versions/get", name=MODEL, version=version)
    return content.get("model_version") or {}


def _get(environment: ScenarioEnvironment, resource: str, **parameters: str) -> Mapping[str, Any]:
    url = f"{environment.mlflow_url}/api/2.0/mlflow/{resource}"
    content: Mapping[str, Any] = requests.get(url, params=parameters, timeout=_TIMEOUT).json()
    return content
