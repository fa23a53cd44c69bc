"""Experiments on the command line: the router, the writer, results, plans, verdicts, and a check of their file."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from lifecycle.core import (
    ROLES,
    EndpointSettings,
    LifecycleError,
    NotificationSettings,
    Notifier,
    RegistrySettings,
    read_settings,
)
from lifecycle.core.command_line import report_errors, stop_on_signals
from lifecycle.core.endpoint import Heartbeat, serve_endpoint
from lifecycle.core.logs import configure_logging
from lifecycle.core.telemetry import observe
from lifecycle.core.text import to_line
from lifecycle.experiment.results import join
from lifecycle.experiment.settings import (
    DecisionSettings,
    FileSettings,
    RouterSettings,
    SpoolSettings,
    StoreSettings,
    WriterSettings,
)
from lifecycle.experiment.spool import Spool
from lifecycle.experiment.store import open_store
from lifecycle.experiment.writer import Writer
from lifecycle.gitops.criteria import Criteria
from lifecycle.gitops.experiments import DAY, DefinitionsError, Experiment, parse

# If router and writer share a core, requests have priority.
_WRITER_NICENESS = 10


@report_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 success, 1 not possible, 2 wrong usage."""
    configure_logging()
    options = _parser().parse_args(arguments)
    options.run(options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lifecycle.experiment", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="route requests to champion and challenger")
    serve.set_defaults(run=_serve)
    write = commands.add_parser("write", help="write the records in the spool to the store")
    write.add_argument("--once", action="store_true", help="exit when the spool is empty")
    write.set_defaults(run=_write)
    results = commands.add_parser("results", help="join an experiment's predictions and outcomes, and count them")
    results.add_argument("experiment")
    results.add_argument(
        "--window-days",
        type=float,
        default=7.0,
        help="days after a prediction in which its outcome counts (default: 7)",
    )
    results.set_defaults(run=_show_results)
    plan = commands.add_parser("plan", help="show how many users and days an experiment needs")
    plan.add_argument("experiment")
    plan.add_argument("--users-per-day", type=float, required=True, help="new users of both variants")
    plan.add_argument("--mean", type=float, help="for a binary outcome: the champion's share of ones")
    plan.add_argument(
        "--deviation",
        type=float,
        help="for a continuous outcome: its standard deviation over users; for latency, that of the log of seconds",
    )
    plan.set_defaults(run=_plan)
    analyse = commands.add_parser("analyse", help="compare the variants, say what to do, and write a report")
    analyse.add_argument("experiment")
    analyse.add_argument(
        "--report", type=Path, default=Path("."), help="the report's folder (default: the current one)"
    )
    analyse.add_argument("--covariate", type=Path, help="a CSV file of users' data from before the experiment")
    analyse.add_argument("--since", type=_parse_time, metavar="TIME", help="ignore earlier predictions, in ISO 8601")
    analyse.add_argument(
        "--until", type=_parse_time, metavar="TIME", help="ignore later records, in ISO 8601 (default: now)"
    )
    analyse.set_defaults(run=_analyse)
    decide = commands.add_parser("decide", help="analyse running experiments, and write decisions that rollouts act on")
    which = decide.add_mutually_exclusive_group(required=True)
    which.add_argument("experiment", nargs="?", help="the name of a running experiment")
    which.add_argument("--all", action="store_true", help="all running experiments; a failure does not stop the others")
    decide.set_defaults(run=_decide)
    check = commands.add_parser("check", help="check an experiments file before it is committed")
    check.add_argument("file", type=Path)
    check.set_defaults(run=_check)
    return parser


def _serve(options: argparse.Namespace) -> None:  # noqa: ARG001
    from lifecycle.experiment import server  # imports libraries that the writer does not need

    with observe("experiment-router"):
        server.run(read_settings(RouterSettings), read_settings(SpoolSettings))


def _write(options: argparse.Namespace) -> None:
    os.nice(_WRITER_NICENESS)
    stop, heartbeat = stop_on_signals(), Heartbeat()
    settings, spool_settings = read_settings(WriterSettings), read_settings(SpoolSettings)
    spool = Spool(spool_settings.folder, spool_settings.spool_max_bytes)
    with (
        observe("experiment-writer"),
        closing(spool),
        closing(open_store(settings.store, settings.retention_days)) as store,
        serve_endpoint(read_settings(EndpointSettings), heartbeat),
    ):
        Writer(settings, spool, store).run(stop, heartbeat.beat, until_empty=options.once)


def _show_results(options: argparse.Namespace) -> None:
    with closing(open_store(read_settings(StoreSettings).store)) as store:
        joined = join(store.read_results(options.experiment), options.window_days * DAY)
    for variant in ROLES:
        rows = [row for row in joined.rows if row.prediction.variant == variant]
        with_outcome = sum(bool(row.outcomes) for row in rows)
        print(f"{variant}: {len(rows)} predictions, {with_outcome} with outcomes")
    print(
        f"not counted: {joined.repeated_predictions} repeated predictions, {joined.repeated_outcomes} repeated, "
        f"{joined.late_outcomes} late, {joined.unmatched_outcomes} unmatched and {joined.invalid_outcomes} invalid "
        "outcomes"
    )


def _plan(options: argparse.Namespace) -> None:
    from lifecycle.experiment.planning import plan

    experiment, criteria = _find_experiment(options.experiment)
    planned = plan(experiment, criteria, options.users_per_day, options.mean, options.deviation)
    power = f"{100 * criteria.power:g} %"
    for label, duration in (
        (f"looked at any time, decided in {power} of experiments", planned.sequential),
        ("looked at any time, decided in half of them", planned.half),
        (f"looked at once, at a power of {power}", planned.fixed),
    ):
        print(f"{label}: {duration.users:,} users, {duration.days:.1f} days")
    if not planned.fits:
        print(
            f"That is more than criteria.maximum_days, {criteria.maximum_days:g}: raise challenger_percent towards 50, "
            "or raise the minimum effect or maximum_days."
        )


def _analyse(options: argparse.Namespace) -> None:
    from lifecycle.experiment import analysis, covariate, report

    experiment, criteria = _find_experiment(options.experiment)
    observations = None if options.covariate is None else covariate.read(options.covariate)
    until = time.time() if options.until is None else options.until
    since = -math.inf if options.since is None else options.since
    with closing(open_store(read_settings(StoreSettings).store)) as store:
        results = store.read_results(experiment.name)
        found = analysis.analyse(results, experiment, criteria, until, observations, since)
    paths = report.write(found, options.report)
    print(f"{experiment.name}: {found.findings.verdict.action}")
    for reason in found.findings.verdict.reasons:
        print(f"  {reason}")
    print(f"report: {', '.join(map(str, paths))}")


def _decide(options: argparse.Namespace) -> None:
    """Raises DecisionError at the end if an experiment could not be decided on."""
    from lifecycle.core import ModelRegistry
    from lifecycle.experiment.decisions import Decider, DecisionError

    settings = read_settings(DecisionSettings)
    notifier = Notifier(read_settings(NotificationSettings))
    experiments = _find_running(settings.file, options.experiment)
    registry = ModelRegistry.connect(read_settings(RegistrySettings).mlflow_tracking_uri)
    failed = []
    with closing(open_store(settings.store)) as store:
        decider = Decider(settings.stack, store, registry, notifier)
        for experiment in experiments:
            try:
                print(to_line(f"{experiment.name}: {decider.decide(experiment)}"), flush=True)
            except LifecycleError as error:
                print(f"error: {experiment.name}: {error}", file=sys.stderr)
                failed.append(experiment.name)
    if failed:
        raise DecisionError(f"These experiments were not decided on, for the reasons above: {', '.join(failed)}.")


def _find_running(path: Path, name: str | None) -> list[Experiment]:
    """All running experiments, or one. Without a file there are none: the sync from git may create it later."""
    if name is None and not path.exists() and path.parent.is_dir():
        print(f"There are no experiments until {path} appears.")
        return []
    running = parse(_read(path), str(path)).running.values()
    found = [experiment for experiment in running if name in (None, experiment.name)]
    if name is not None and not found:
        raise DefinitionsError(f"{path} has no running experiment {name!r}; running experiments: {_join(running)}")
    return found


def _join(experiments: Iterable[Experiment]) -> str:
    return ", ".join(experiment.name for experiment in experiments) or "none"


def _find_experiment(name: str) -> tuple[Experiment, Criteria]:
    """An experiment from the file that EXPERIMENT_FILE names."""
    from lifecycle.experiment.analysis import find_experiment

    path = read_settings(FileSettings).file
    return find_experiment(parse(_read(path), str(path)), name, str(path))


def _parse_time(text: str) -> float:
    """Seconds since 1970; a time without a zone is in UTC."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DefinitionsError(f"{path} cannot be read: {error.strerror}; pass the path of a file") from None


def _check(options: argparse.Namespace) -> None:
    definitions = parse(_read(options.file), str(options.file))
    print(f"{options.file} is valid: {', '.join(definitions.by_name) or 'no experiments'}")


if __name__ == "__main__":
    sys.exit(main())
