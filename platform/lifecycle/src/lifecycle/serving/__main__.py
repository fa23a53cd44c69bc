"""Serve a registered model: `python -m lifecycle.serving`, told by environment variables (see settings.py)."""

from __future__ import annotations

import os
import sys
import tempfile

from lifecycle.serving import logs, settings

# One process per core: threads of numeric libraries would only take cores from each other. Read when those load.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_EXIT_SETTINGS = 2


def main() -> int:
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        told = settings.read()
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
        return _EXIT_SETTINGS
    logs.configure(told.log_level)
    with tempfile.TemporaryDirectory(prefix="metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        from lifecycle.serving import supervisor  # numeric libraries and metrics read the environment when imported

        return supervisor.run(told)


if __name__ == "__main__":
    sys.exit(main())
