"""Serve a registered model: `python -m lifecycle.serving`, configured by environment variables (see settings.py)."""

from __future__ import annotations

import os
import sys
import tempfile

from lifecycle.core import SettingsError, read_settings
from lifecycle.serving import logs
from lifecycle.serving.settings import ServingSettings

# There is one process per core, so threads of numeric libraries would only compete. Libraries read this when imported.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_EXIT_SETTINGS = 2


def main() -> int:
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        settings = read_settings(ServingSettings)
    except SettingsError as error:
        print(f"The server's settings are invalid:\n{error}", file=sys.stderr)
        return _EXIT_SETTINGS
    logs.configure(settings.log_level, service="serving", model=settings.model_name)
    with tempfile.TemporaryDirectory(prefix="metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        from lifecycle.serving import supervisor  # numeric libraries and metrics read the environment when imported

        return supervisor.run(settings)


if __name__ == "__main__":
    sys.exit(main())
