"""`python -m lifecycle.drift`: collect the inference log in the artifact store, and check models for drift.

Configured by environment variables (see settings.py).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from lifecycle.core import EndpointSettings, LifecycleError, RegistrySettings, read_settings
from lifecycle.core.command_line import report_errors
from lifecycle.core.telemetry import observe
from lifecycle.drift.settings import DriftSettings, StoreSettings


@report_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; results go to standard output.

    Returns the exit status: 0 if the command completed, with or without drift; 1 if it could not; 2 for wrong usage.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "check" and bool(options.name) == options.all:
        parser.error("check requires the name of a model, or --all")
    if options.command == "check" and options.all and options.version:
        parser.error("--version requires the name of a model; leave it out with --all")
    if options.command == "compact":
        _compact(options.file)
    elif options.command == "collect":
        _collect()
    elif options.all:
        _check_all(options.until)
    else:
        _check(options.name, options.version, options.until)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lifecycle.drift", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    compact = commands.add_parser("compact", help="move the events of serving's log file to the artifact store")
    compact.add_argument("file", type=Path, help="the file of INFERENCE_LOG_SINK")
    commands.add_parser("collect", help="receive the events that serving sends, and write them to the artifact store")
    check = commands.add_parser("check", help="compare a model's inferences with its training reference")
    check.add_argument("name", nargs="?", default="", help="the registered model's name")
    check.add_argument(
        "--all", action="store_true", help="check the champion of each model; a failure does not stop the others"
    )
    check.add_argument("--version", default="", help="the version (default: the champion)")
    check.add_argument(
        "--until",
        type=_parse_time,
        metavar="TIME",
        help="end of the window in ISO 8601 (default: the last full hour; the last full minute for a shorter window)",
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
            f"{summary.rejected} lines of {file} are not inference events, the first because {summary.reason}. They "
            f"are in {summary.rejected_file}; all others have been compacted."
        )


def _collect() -> None:
    from lifecycle.drift import collector  # imports libraries that an analysis does not need
    from lifecycle.drift.settings import CollectorSettings

    with observe("drift-collector"):
        collector.run(read_settings(CollectorSettings), read_settings(EndpointSettings))


def _check_all(until: datetime | None) -> None:
    """Check all champions. Raises LifecycleError at the end if any could not be checked."""
    from lifecycle.core import CHAMPION, ModelRegistry
    from lifecycle.drift.check import check_model, to_json

    settings = read_settings(DriftSettings)
    registry = ModelRegistry.connect(read_settings(RegistrySettings).mlflow_tracking_uri)
    failed = []
    for name in registry.list_models_with_alias(CHAMPION):
        try:
            print(to_json(*check_model(registry, name, settings, until=until)), flush=True)
        except LifecycleError as error:
            print(f"error: {error}", file=sys.stderr)
            failed.append(name)
    if failed:
        raise LifecycleError(f"These models were not checked, for the reasons above: {', '.join(failed)}.")


def _check(name: str, version: str, until: datetime | None) -> None:
    from lifecycle.core import ModelRegistry
    from lifecycle.drift.check import check_model, to_json

    settings = read_settings(DriftSettings)
    registry = ModelRegistry.connect(read_settings(RegistrySettings).mlflow_tracking_uri)
    print(to_json(*check_model(registry, name, settings, version=version, until=until)))


if __name__ == "__main__":
    sys.exit(main())
