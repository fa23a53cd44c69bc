"""Experiments on the command line: the router, the writer, results, and a check of the experiments' file."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from lifecycle.core import ROLES, EndpointSettings, read_settings
from lifecycle.core.command_line import report_errors, stop_on_signals
from lifecycle.core.endpoint import Heartbeat, serve_endpoint
from lifecycle.core.logs import configure_logging
from lifecycle.experiment.definitions import DefinitionsError, parse
from lifecycle.experiment.results import join
from lifecycle.experiment.settings import RouterSettings, SpoolSettings, WriterSettings
from lifecycle.experiment.spool import Spool
from lifecycle.experiment.store import open_store
from lifecycle.experiment.writer import Writer

_DAY = 24 * 3600.0  # seconds


@report_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 success, 1 not possible, 2 wrong usage."""
    configure_logging()
    logging.getLogger("azure").setLevel(logging.WARNING)  # it logs every request
    options = _parser().parse_args(arguments)
    options.run(options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lifecycle.experiment", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="route requests to champion and challenger")
    serve.set_defaults(run=_serve)
    write = commands.add_parser("write", help="write what waits in the spool to the store")
    write.add_argument("--once", action="store_true", help="end when nothing waits")
    write.set_defaults(run=_write)
    results = commands.add_parser("results", help="join an experiment's predictions and outcomes, and count them")
    results.add_argument("experiment")
    results.add_argument("--window-days", type=float, default=7.0, help="days in which an outcome counts (7)")
    results.set_defaults(run=_show_results)
    check = commands.add_parser("check", help="check an experiments' file, before it is committed")
    check.add_argument("file", type=Path)
    check.set_defaults(run=_check)
    return parser


def _serve(options: argparse.Namespace) -> None:  # noqa: ARG001
    from lifecycle.experiment import server  # with libraries that the writer does without

    server.run(read_settings(RouterSettings), read_settings(SpoolSettings))


def _write(options: argparse.Namespace) -> None:
    stop, heartbeat = stop_on_signals(), Heartbeat()
    settings, spool_settings = read_settings(WriterSettings), read_settings(SpoolSettings)
    spool = Spool(spool_settings.folder, spool_settings.spool_max_bytes)
    with (
        closing(spool),
        closing(open_store(settings.store)) as store,
        serve_endpoint(read_settings(EndpointSettings), heartbeat),
    ):
        Writer(settings, spool, store).run(stop, heartbeat.beat, until_empty=options.once)


def _show_results(options: argparse.Namespace) -> None:
    with closing(open_store(read_settings(WriterSettings).store)) as store:
        joined = join(store.read_results(options.experiment), options.window_days * _DAY)
    for variant in ROLES:
        rows = [row for row in joined.rows if row.prediction.variant == variant]
        with_outcome = sum(bool(row.outcomes) for row in rows)
        print(f"{variant}: {len(rows)} predictions, {with_outcome} with outcomes")
    print(
        f"not counted: {joined.repeated_predictions} repeated predictions, {joined.repeated_outcomes} repeated, "
        f"{joined.late_outcomes} late, {joined.unmatched_outcomes} unmatched and {joined.invalid_outcomes} invalid outcomes"
    )


def _check(options: argparse.Namespace) -> None:
    try:
        content = options.file.read_bytes()
    except OSError as error:
        raise DefinitionsError(f"{options.file} cannot be read: {error.strerror}; pass the path of a file") from None
    definitions = parse(content, str(options.file))
    print(f"{options.file} is valid: {', '.join(definitions.by_name) or 'no experiments'}")


if __name__ == "__main__":
    sys.exit(main())
