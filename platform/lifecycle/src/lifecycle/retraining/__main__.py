"""`python -m lifecycle.retraining`: serve, request runs from the service (schedule, new data), or start a run now."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from lifecycle.core import EndpointSettings, LifecycleError, NotificationSettings, Notifier, read_settings
from lifecycle.core.command_line import report_errors
from lifecycle.core.endpoint import Heartbeat
from lifecycle.core.http_server import run_until_stopped
from lifecycle.core.logs import configure_logging
from lifecycle.core.names import NEW_DATA_EVENT
from lifecycle.core.telemetry import observe
from lifecycle.core.text import to_line
from lifecycle.retraining.jobs import read_template
from lifecycle.retraining.kubernetes_client import KubernetesClient
from lifecycle.retraining.notices import NoticeSender
from lifecycle.retraining.server import create_config
from lifecycle.retraining.settings import RetrainingSettings, ScheduleSettings
from lifecycle.retraining.starter import Answer, Starter
from lifecycle.retraining.triggers import TrainingRequest, Trigger

_PORT = 8080
_ATTEMPTS = 5
_TIMEOUT = 60.0  # seconds; the service calls the API server for each model


@report_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 success, 1 refused or not possible, 2 wrong usage."""
    configure_logging()
    options = _parser().parse_args(arguments)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lifecycle.retraining", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="start runs for alerts, events and the schedule")
    serve.set_defaults(run=_serve)
    schedule = commands.add_parser("schedule", help="request a run of each scheduled model, for timers")
    schedule.set_defaults(run=_schedule)
    new_data = commands.add_parser("new-data", help="report new data of a model to the service, for pipelines")
    new_data.add_argument("model")
    new_data.add_argument("--source", required=True, help="the sender; together with the ID it identifies the event")
    new_data.add_argument("--id", required=True, help="the event's ID; repeating it starts no second run")
    new_data.set_defaults(run=_report_new_data)
    start = commands.add_parser("start", help="start a run of a model now")
    start.add_argument("model")
    start.add_argument("--force", action="store_true", help="start it even during the model's cool-down")
    start.set_defaults(run=_start)
    return parser


@contextmanager
def _connect(settings: RetrainingSettings) -> Iterator[KubernetesClient]:
    client = KubernetesClient(settings.api_server, settings.api_credentials, settings.namespace)
    try:
        yield client
    finally:
        client.close()


def _serve(options: argparse.Namespace) -> int:  # noqa: ARG001
    settings, endpoint = read_settings(RetrainingSettings), read_settings(EndpointSettings)
    read_template(settings.template)  # find an invalid template now rather than at the first alert
    stop, heartbeat, port = threading.Event(), Heartbeat(), endpoint.port or _PORT
    with observe("retraining"), _connect(settings) as client:
        sender = NoticeSender(settings, client, Notifier(read_settings(NotificationSettings)))
        thread = threading.Thread(target=sender.run, args=(stop, heartbeat.beat))
        thread.start()
        try:
            config = create_config(settings, Starter(settings, client), heartbeat, endpoint.host, port)
            run_until_stopped(uvicorn.Server(config), "PORT")
        finally:
            stop.set()
            thread.join()
    return 0


def _schedule(options: argparse.Namespace) -> int:  # noqa: ARG001
    _send("/schedule")
    return 0


def _report_new_data(options: argparse.Namespace) -> int:
    event = {"specversion": "1.0", "type": NEW_DATA_EVENT, "source": options.source, "id": options.id}
    answers = _send("/events", {**event, "data": {"model": options.model}})
    return 1 if Answer.UNKNOWN in answers else 0


def _send(path: str, event: Mapping[str, Any] | None = None) -> Sequence[str]:
    """Send a request to the service until it is accepted, and print the decisions; returns the answers."""
    settings = read_settings(ScheduleSettings)
    retrying = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential(multiplier=1, max=30),
        retry=retry_if_exception_type(httpx.HTTPError),
        reraise=True,
    )
    try:
        reply = retrying(_post, settings, path, event)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error.response.status_code) if isinstance(error, httpx.HTTPStatusError) else type(error).__name__
        raise LifecycleError(
            f"The service at RETRAINING_URL {settings.url} did not accept the request ({reason}): see its log"
        ) from None
    decisions = reply.json()["requests"]
    for decision in decisions:
        print(to_line(f"{decision['model']}: {decision['answer']}: {decision['reason']}"))
    return [decision["answer"] for decision in decisions]


def _post(settings: ScheduleSettings, path: str, event: Mapping[str, Any] | None) -> httpx.Response:
    headers = {"authorization": f"Bearer {settings.token.get_secret_value()}"}
    return httpx.post(f"{settings.url}{path}", headers=headers, json=event, timeout=_TIMEOUT).raise_for_status()


def _start(options: argparse.Namespace) -> int:
    settings = read_settings(RetrainingSettings)
    with _connect(settings) as client:
        request = TrainingRequest(options.model, Trigger.PERSON)
        decision = Starter(settings, client).start(request, is_forced=options.force)
    print(to_line(f"{decision.model}: {decision.answer}: {decision.reason}"))
    return 0 if decision.answer is Answer.STARTED else 1


if __name__ == "__main__":
    sys.exit(main())
