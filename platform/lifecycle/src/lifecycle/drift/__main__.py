"""`python -m lifecycle.drift`: write the inference log to the artifact store, and check a model for drift.

Configured by environment variables (see settings.py).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from lifecycle.core import LifecycleError, RegistrySettings, read_settings
from lifecycle.core.command_line import report_errors
from lifecycle.drift.settings import DriftSettings, StoreSettings


@report_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; results go to standard output.

    Returns the exit status: 0 where the command did its work, whatever it found; 1 where it could not; 2 for wrong
    usage.
    """
    options = _parser().parse_args(arguments)
    if options.command == "compact":
        _compact(options.file)
    else:
        _check(options.name, options.version, options.until)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lifecycle.drift", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    compact = commands.add_parser("compact", help="move the events of serving's log file to the artifact store")
    compact.add_argument("file", type=Path, help="the file of INFERENCE_LOG_SINK")
    check = commands.add_parser("check", help="compare a model's inferences with its training reference")
    check.add_argument("name", help="the registered model's name")
    check.add_argument("--version", default="", help="the version; the champion unless given")
    check.add_argument(
        "--until",
        type=_parse_time,
        metavar="TIME",
        help="end of the window in ISO 8601; the last full hour unless given",
    )
    return parser


def _parse_time(text: str) -> datetime:
    """A time without a zone is in UTC."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _compact(file: Path) -> None:
    from lifecycle.drift.compaction import Compactor
    from lifecycle.drift.store import ArtifactStore

    settings = read_settings(StoreSettings)
    summary = Compactor(file, ArtifactStore(settings.store), settings.clock_tolerance).run()
    print(json.dumps({"files": summary.files, "rows": summary.rows, "repeated": summary.repeated}, indent=2))
    if summary.rejected:
        raise LifecycleError(
            f"{summary.rejected} lines of {file} are no inference events, the first because {summary.reason}. They are "
            f"in {summary.rejected_file}; all others have been compacted."
        )


def _check(name: str, version: str, until: datetime | None) -> None:
    from lifecycle.core import ModelRegistry
    from lifecycle.drift.check import check_model, to_json

    settings = read_settings(DriftSettings)
    registry = ModelRegistry.connect(read_settings(RegistrySettings).mlflow_tracking_uri)
    print(to_json(*check_model(registry, name, settings, version=version, until=until)))


if __name__ == "__main__":
    sys.exit(main())
