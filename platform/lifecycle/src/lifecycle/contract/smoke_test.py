"""Loads a model and predicts with the serving environment's interpreter, in a separate process."""

from __future__ import annotations

import json
import math
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifecycle.contract.artifact import Artifact
from lifecycle.contract.environment import Contract, ContractSettings, find_interpreter
from lifecycle.contract.errors import ContractError

# The variables with which a process finds its libraries and a place to write. No secret reaches the model's process.
_INHERITED = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV")
_PROBE = Path(__file__).with_name("probe.py")


def predict(
    artifact: Artifact, contract: Contract, settings: ContractSettings, rows: Path | None = None
) -> list[float]:
    """Load the model in the serving environment and predict; returns one finite number per row.

    `rows` is a Parquet file with the model's inputs among its columns; without it, the model's own input example is
    used.
    Raises ContractError if the environment is not the contract's, or the model does not load or predict there.
    """
    python = find_interpreter(contract, settings)
    environment = _probe(python, {"libraries": list(contract.libraries)}, settings)
    contract.check_environment(f"The serving environment ({python})", environment["python"], environment["libraries"])
    response = _probe(python, {"model": str(artifact.folder), "rows": str(rows) if rows else None}, settings)
    predictions = [float(value) for value in response["predictions"]]
    if not predictions or not all(map(math.isfinite, predictions)):
        raise ContractError(
            f"The model in {artifact.folder.name} predicts {predictions[:5]}, not a finite number for each row."
        )
    return predictions


def _probe(python: Path, request: Mapping[str, Any], settings: ContractSettings) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        request_file, response_file = Path(scratch, "request.json"), Path(scratch, "response.json")
        request_file.write_text(json.dumps(request))
        _run([str(python), "-I", str(_PROBE), str(request_file), str(response_file)], settings)
        response: dict[str, Any] = json.loads(response_file.read_text())
    if "error" in response:
        raise ContractError(_explain(response, python))
    return response


def _explain(response: Mapping[str, Any], python: Path) -> str:
    error = response["error"][:500]
    if response["is_corrupt"]:
        return f"The model's artifact is corrupt, so it does not load ({error}). Train it again."
    if response["step"] == "load":
        return f"The model does not load in the serving environment ({python}): {error}. Correct that, and train again."
    if response["step"] == "predict":
        return (
            f"The model loads in the serving environment ({python}) but does not predict: {error}. It must return a "
            "number for each row of its signature's columns."
        )
    return f"The serving environment ({python}) cannot be examined: {error}."


def _run(command: list[str], settings: ContractSettings) -> None:
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    try:
        process = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=settings.timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise ContractError(
            f"The model did not load and predict within {settings.timeout:g} s in the serving environment. "
            "Increase CONTRACT_TIMEOUT if it may take longer."
        ) from None
    if process.returncode != 0:
        raise ContractError(
            f"The serving environment's process ended with status {process.returncode}: {process.stderr.strip()[-500:]}"
        )
