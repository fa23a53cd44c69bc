"""A step imports only what it needs: MLflow and scikit-learn take seconds. Steps' results are in test_pipeline.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "src"


@pytest.mark.process
def test_neither_mlflow_nor_scikit_learn_is_loaded_before_a_step_needs_it() -> None:
    code = (
        "import sys, lifecycle.training.steps, lifecycle.training.run, lifecycle.training.pipeline;"
        "print([name for name in ('mlflow', 'sklearn') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert result.stdout == "[]\n", result.stderr
