"""A model tried where it will serve: loaded, and asked for predictions, by the contract's interpreter."""

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
from lifecycle.contract.environment import Contract, Settings, interpreter
from lifecycle.contract.errors import ContractError

# What a process needs to find its libraries and a place to write. No secret of ours reaches the model's process.
_PASSED_ON = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV")
_PROBE = Path(__file__).with_name("probe.py")


def predict(artifact: Artifact, contract: Contract, settings: Settings, rows: Path | None = None) -> list[float]:
    """Load the model in the serving environment and predict.

    `rows` is a Parquet file that has the model's inputs among its columns; without it the model's own input example
    is used. Returns one finite number per row.
    Raises ContractError when the environment is not the contract's, or the model does not load or predict there.
    """
    python = interpreter(contract, settings)
    environment = _ask(python, {"libraries": list(contract.libraries)}, settings)
    contract.compare(f"The serving environment ({python})", environment["python"], environment["libraries"])
    question = {"model": str(artifact.folder), "rows": str(rows) if rows else None}
    answer = _ask(python, question, settings)
    predictions = [float(value) for value in answer["predictions"]]
    if not predictions or not all(map(math.isfinite, predictions)):
        raise ContractError(
            f"The model in {artifact.folder.name} predicts {predictions[:5]}, not a number for each row."
        )
    return predictions


def _ask(python: Path, question: Mapping[str, Any], settings: Settings) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        asked, replied = Path(scratch, "question.json"), Path(scratch, "answer.json")
        asked.write_text(json.dumps(question))
        _run([str(python), "-I", str(_PROBE), str(asked), str(replied)], settings)
        answer: dict[str, Any] = json.loads(replied.read_text())
    if "error" in answer:
        raise ContractError(
            f"The model does not load in the serving environment ({python}): {answer['error'][:500]}. "
            "The artifact is corrupt, or was made by other means than this pipeline. Train it again."
        )
    return answer


def _run(command: list[str], settings: Settings) -> None:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=settings.patience, check=False
        )
    except subprocess.TimeoutExpired:
        raise ContractError(
            f"The model did not load and predict within {settings.patience:g} s in the serving environment. "
            "Set CONTRACT_PATIENCE if it may take longer."
        ) from None
    if done.returncode != 0:
        raise ContractError(
            f"The serving environment's process ended with status {done.returncode}: {done.stderr.strip()[-500:]}"
        )
