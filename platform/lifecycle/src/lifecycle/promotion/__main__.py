"""Promotion on the command line: the receiver, the worker, and promotions started by people, pipelines and timers."""

from __future__ import annotations

import argparse
import math
import re
import sys
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial

import uvicorn

from lifecycle.core import (
    CHALLENGER,
    EndpointSettings,
    ModelRegistry,
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
from lifecycle.gate import GateSettings, evaluate_version
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion import metrics
from lifecycle.promotion.database import create_database
from lifecycle.promotion.deferral import Deferral
from lifecycle.promotion.dispatcher import COMMAND_PREFIX, Dispatcher
from lifecycle.promotion.inbox import Inbox, InboxError
from lifecycle.promotion.publisher import Publisher
from lifecycle.promotion.receiver import create_config
from lifecycle.promotion.reconciliation import Reconciliation, add_missed_events, list_unpromoted
from lifecycle.promotion.settings import DatabaseSettings, DispatchSettings, ReceiverSettings, WorkerSettings
from lifecycle.promotion.worker import Gate, Worker

_SUCCESSFUL = ("promoted", "requested", "unchanged")
_LISTED_EVENTS = 20
_RECEIVER_PORT = 8080
_EVENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")


@report_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 success, 1 not promoted or not possible, 2 wrong usage."""
    configure_logging()
    options = _parser().parse_args(arguments)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lifecycle.promotion", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="receive MLflow's webhooks")
    serve.set_defaults(run=_serve)
    work = commands.add_parser("work", help="promote the events that wait in the inbox, or dispatch them to a workflow")
    work.add_argument("--once", action="store_true", help="exit when nothing is due, for timers")
    work.set_defaults(run=_work)
    promote = commands.add_parser("promote", help=f"set the alias `{CHALLENGER}` on a version and promote it now")
    promote.add_argument("name")
    promote.add_argument("version")
    promote.add_argument(
        "--keep-alias",
        action="store_true",
        help=f"do not set the alias; promote only if the version is still the `{CHALLENGER}`",
    )
    promote.add_argument("--event", type=_parse_event_id, metavar="ID", help="promote once for all calls with this ID")
    promote.set_defaults(run=_promote)
    retry = commands.add_parser("retry", help="promote every challenger that was not promoted yet, for timers")
    retry.set_defaults(run=_retry)
    scan = commands.add_parser("scan", help="add the events that the webhooks missed to the inbox, for timers")
    scan.set_defaults(run=_scan)
    create = commands.add_parser("create-database", help="create the inbox's database and login in PostgreSQL")
    create.set_defaults(run=_create_database)
    status = commands.add_parser("status", help="show how many events are waiting, and the outcomes of the latest ones")
    status.set_defaults(run=_status)
    return parser


def _serve(options: argparse.Namespace) -> int:  # noqa: ARG001
    settings, endpoint = read_settings(ReceiverSettings), read_settings(EndpointSettings)
    port = endpoint.port or _RECEIVER_PORT
    with observe("promotion-receiver"), closing(Inbox(settings.inbox.get_secret_value())) as inbox:
        uvicorn.Server(create_config(settings, inbox, endpoint.host, port)).run()
    return 0


def _work(options: argparse.Namespace) -> int:
    stop = stop_on_signals()
    settings, dispatch, heartbeat = read_settings(WorkerSettings), read_settings(DispatchSettings), Heartbeat()
    with (
        observe("promotion-worker"),
        serve_endpoint(read_settings(EndpointSettings), heartbeat),
        _create_worker() as (worker, inbox, registry),
    ):
        metrics.WAITING_EVENTS.set_function(partial(_count_waiting, inbox))
        reconciliation = Reconciliation(settings, registry, inbox)
        if settings.webhook_url and not options.once:
            # Its calls are short, and ending the process during one of them does no harm.
            threading.Thread(target=reconciliation.run, args=(stop,), daemon=True).start()
        dispatcher = _create_dispatcher(dispatch, settings, inbox) if dispatch.project else None
        (dispatcher or worker).run(stop, until_idle=options.once, beat=heartbeat.beat)
    return 0


def _create_dispatcher(dispatch: DispatchSettings, settings: WorkerSettings, inbox: Inbox) -> Dispatcher:
    stack = read_settings(GitopsSettings).stack
    deferral = Deferral(settings, inbox, Notifier(read_settings(NotificationSettings)), stack)
    return Dispatcher(dispatch, settings, inbox, deferral, stack)


def _count_waiting(inbox: Inbox) -> float:
    """NaN while the inbox does not answer, so that a scrape still gets the other metrics."""
    try:
        return inbox.count_waiting()
    except InboxError:
        return math.nan


def _parse_event_id(text: str) -> str:
    """An event ID becomes a key in the inbox, a line in a commit, and perhaps part of a branch name."""
    if not _EVENT_ID.fullmatch(text):
        raise argparse.ArgumentTypeError("an ID has up to 100 letters, digits and hyphens")
    return text


def _promote(options: argparse.Namespace) -> int:
    id_ = f"{COMMAND_PREFIX}{options.event or uuid.uuid4()}"
    with _create_worker() as (worker, inbox, registry):
        if registry.find_version(options.name, options.version) is None:
            print(f"error: the registry has no version {options.version} of {options.name}", file=sys.stderr)
            return 1
        if not options.keep_alias:
            registry.set_alias(options.name, CHALLENGER, options.version)
        inbox.add(id_, options.name, options.version)
        worker.run(threading.Event(), until_idle=True)
        outcome = _report(inbox, id_)
    # A newer challenger has its own events, so there is nothing left to do for the older one.
    return 0 if outcome in (*_SUCCESSFUL, *(("superseded",) if options.keep_alias else ())) else 1


def _retry(options: argparse.Namespace) -> int:  # noqa: ARG001
    with _create_worker() as (worker, inbox, registry):
        versions = list_unpromoted(registry, inbox)
        ids = [f"{COMMAND_PREFIX}{uuid.uuid4()}" for _ in versions]
        for id_, model_version in zip(ids, versions, strict=True):
            inbox.add(id_, model_version.model, model_version.version)
        worker.run(threading.Event(), until_idle=True)
        outcomes = [_report(inbox, id_) for id_ in ids]
    if not outcomes:
        print("No challenger is waiting to be promoted.")
    return 0 if all(outcome in (*_SUCCESSFUL, "superseded") for outcome in outcomes) else 1


def _report(inbox: Inbox, id_: str) -> str:
    """Print and return the outcome of an event."""
    event = inbox.find(id_)
    if event is None:
        return ""
    print(to_line(f"{event.model} version {event.version}: {event.outcome} {event.detail}"))
    return event.outcome


def _scan(options: argparse.Namespace) -> int:  # noqa: ARG001
    registry = ModelRegistry(read_settings(RegistrySettings).mlflow_tracking_uri, fail_fast=True)
    inbox = Inbox(read_settings(WorkerSettings).inbox.get_secret_value())
    for missed in add_missed_events(registry, inbox):
        print(to_line(f"{missed} was missed and has been added"))
    inbox.close()
    return 0


def _create_database(options: argparse.Namespace) -> int:  # noqa: ARG001
    create_database(read_settings(DatabaseSettings))
    return 0


def _status(options: argparse.Namespace) -> int:  # noqa: ARG001
    inbox = Inbox(read_settings(WorkerSettings).inbox.get_secret_value())
    print(", ".join(f"{count} {outcome}" for outcome, count in inbox.counts().items()) or "the inbox is empty")
    for event in inbox.latest(_LISTED_EVENTS):
        state = f"{event.outcome}, {event.attempts} retries. {event.detail}"
        print(to_line(f"{event.model} version {event.version}: {state}"))
    inbox.close()
    return 0


@contextmanager
def _create_worker() -> Iterator[tuple[Worker, Inbox, ModelRegistry]]:
    settings, gitops = read_settings(WorkerSettings), read_settings(GitopsSettings)
    gate: Gate = partial(evaluate_version, settings=read_settings(GateSettings))
    inbox = Inbox(settings.inbox.get_secret_value())
    registry = ModelRegistry(read_settings(RegistrySettings).mlflow_tracking_uri, fail_fast=True)
    publisher = Publisher(gitops)
    try:
        notifier = Notifier(read_settings(NotificationSettings))
        yield Worker(settings, inbox, registry, gate, publisher, notifier, gitops.stack), inbox, registry
    finally:
        publisher.close()
        inbox.close()


if __name__ == "__main__":
    sys.exit(main())
