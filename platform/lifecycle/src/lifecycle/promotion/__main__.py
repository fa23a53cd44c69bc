"""Promotion on the command line: the receiver, the worker, and promotions asked for by people, pipelines and timers."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import uvicorn

from lifecycle.contract import LifecycleError
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.inbox import Inbox
from lifecycle.promotion.notify import Notifier
from lifecycle.promotion.publisher import Publisher
from lifecycle.promotion.receiver import create_app
from lifecycle.promotion.registry import CHALLENGER, Registry
from lifecycle.promotion.settings import NotifySettings, ReceiverSettings, RegistrySettings, WorkerSettings, read
from lifecycle.promotion.worker import Gate, Worker
from lifecycle.training.gate import judge
from lifecycle.training.settings import GateSettings

_DONE = ("promoted", "requested", "unchanged")
_SHOWN = 20
_UNJUDGED = ("", "registered")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 done, 1 not promoted or not possible, 2 called wrongly."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses, and Slack's are secrets
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except LifecycleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lifecycle.promotion", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="receive MLflow's webhooks")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8080)
    serve.set_defaults(run=_serve)
    work = commands.add_parser("work", help="promote what waits in the inbox")
    work.add_argument("--once", action="store_true", help="end when nothing is due, for timers")
    work.set_defaults(run=_work)
    promote = commands.add_parser("promote", help=f"set a version's alias `{CHALLENGER}` and promote it now")
    promote.add_argument("name")
    promote.add_argument("version")
    promote.set_defaults(run=_promote)
    scan = commands.add_parser("scan", help="put what the webhooks missed into the inbox, for timers")
    scan.set_defaults(run=_scan)
    status = commands.add_parser("status", help="what waits, and what became of the newest events")
    status.set_defaults(run=_status)
    return parser


def _serve(options: argparse.Namespace) -> int:
    settings = read(ReceiverSettings)
    inbox = Inbox(settings.inbox.get_secret_value())
    uvicorn.run(create_app(settings, inbox), host=options.host, port=options.port, access_log=False)
    inbox.close()
    return 0


def _work(options: argparse.Namespace) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with _worker() as (worker, _, _):
        worker.run(stop, until_idle=options.once)
    return 0


def _promote(options: argparse.Namespace) -> int:
    event = f"manual-{uuid.uuid4()}"
    with _worker() as (worker, inbox, registry):
        if registry.version(options.name, options.version) is None:
            print(f"error: there is no version {options.version} of {options.name} in the registry", file=sys.stderr)
            return 1
        registry.point(options.name, CHALLENGER, options.version)
        inbox.add(event, options.name, options.version)
        worker.run(threading.Event(), until_idle=True)
        done = inbox.find(event)
    if done is None:
        return 1
    print(f"{done.model} version {done.version}: {done.outcome} {done.detail}".rstrip())
    return 0 if done.outcome in _DONE else 1


def _scan(options: argparse.Namespace) -> int:  # noqa: ARG001
    registry = Registry(read(RegistrySettings).mlflow_tracking_uri)
    inbox = Inbox(read(WorkerSettings).inbox.get_secret_value())
    for candidate in registry.challengers():
        model, version = candidate.lineage.model, candidate.lineage.version
        if candidate.status in _UNJUDGED and not inbox.waits_for(model, version):
            inbox.add(f"scan-{uuid.uuid4()}", model, version)
            print(f"{model} version {version} had been missed")
    inbox.close()
    return 0


def _status(options: argparse.Namespace) -> int:  # noqa: ARG001
    inbox = Inbox(read(WorkerSettings).inbox.get_secret_value())
    print(", ".join(f"{count} {outcome}" for outcome, count in inbox.counts().items()) or "the inbox is empty")
    for event in inbox.newest(_SHOWN):
        print(
            f"{event.model} version {event.version}: {event.outcome}, {event.attempts} retries. {event.detail}".rstrip()
        )
    inbox.close()
    return 0


@contextmanager
def _worker() -> Iterator[tuple[Worker, Inbox, Registry]]:
    settings, gitops = read(WorkerSettings), read(GitopsSettings)
    gate: Gate = partial(judge, settings=read(GateSettings))
    inbox = Inbox(settings.inbox.get_secret_value())
    registry = Registry(read(RegistrySettings).mlflow_tracking_uri)
    publisher = Publisher(gitops)
    try:
        notifier = Notifier(read(NotifySettings))
        yield Worker(settings, inbox, registry, gate, publisher, notifier, gitops.environment), inbox, registry
    finally:
        publisher.close()
        inbox.close()


if __name__ == "__main__":
    sys.exit(main())
