"""From serving's inference log to the artifact store: received events wait in a file, which a thread compacts.

    POST /events                CloudEvents in batched content mode, as serving sends them
    GET  /health, /ready, /metrics

Status 202 means that the events are on this process's disk, whose size is bounded: while it is full, requests are
refused, and serving counts the lost events. Events survive a restart of the process, but not the loss of its disk.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from lifecycle.core import EndpointSettings, LifecycleError
from lifecycle.core.endpoint import Heartbeat
from lifecycle.core.http_requests import CLIENT_CLOSED_REQUEST
from lifecycle.core.http_server import (
    BodyTooLargeError,
    BodyTooSlowError,
    HttpLimits,
    MalformedBodyError,
    TooManyBodiesError,
    create_protocol,
    read_body,
    run_until_stopped,
)
from lifecycle.core.metrics_page import render_metrics
from lifecycle.core.request_telemetry import RequestTelemetry
from lifecycle.drift import layout, metrics
from lifecycle.drift.compaction import Compactor, Summary
from lifecycle.drift.report import DriftReport, read
from lifecycle.drift.settings import CollectorSettings
from lifecycle.drift.store import ArtifactStore

PATH = "/events"
PORT = 8080  # unless the settings have one
_BATCH_TYPE = "application/cloudevents-batch+json"
_FILE = "inference.jsonl"
_REJECTED = ".rejected.jsonl"
_LIMITS = HttpLimits(connections=256, seconds=10)  # for the pods of some models, with a few workers each
_RETRY_AFTER = "5"  # seconds
_FULL = 0.5  # of the bytes that may wait: from then on they are written before the interval has passed
_LOOK = 1.0  # seconds between two checks of that
_DRAIN_TIMEOUT = 10  # seconds in which requests must end after SIGTERM

_log = logging.getLogger(__name__)


class FullError(Exception):
    """The maximum of bytes is waiting for the store."""


class EventFile:
    """The events that wait for the store, as lines of a file and of files that it was renamed to."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Raises LifecycleError if the folder is not writable."""
        self.path = folder / _FILE
        self._max_bytes = max_bytes
        self._adding = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LifecycleError(
                f"DRIFT_COLLECT_FOLDER {folder} cannot be created: {error.strerror}; set a folder that is writable"
            ) from None

    def add(self, events: list[Any]) -> None:
        """Add all or none. Raises FullError; OSError if they cannot be written to disk."""
        lines = b"".join(json.dumps(event, separators=(",", ":")).encode() + b"\n" for event in events)
        with self._adding:
            if self.measure() + len(lines) > self._max_bytes:
                raise FullError
            # Opened for each request, so that no more lines are added to a file that was renamed meanwhile.
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                start = os.fstat(file).st_size
                if os.write(file, lines) < len(lines):
                    os.ftruncate(file, start)
                    raise OSError("only a part of the events was written to disk")
            finally:
                os.close(file)

    def measure(self) -> int:
        """The number of waiting bytes."""
        sizes = 0
        for path in self.path.parent.glob(f"{self.path.name}*"):
            try:
                sizes += path.stat().st_size
            except FileNotFoundError:  # it was written to the store and removed meanwhile
                continue
        return sizes

    @property
    def is_filling(self) -> bool:
        return self.measure() > self._max_bytes * _FULL


class Collector:
    """Moves events from the file to the store, and reads the last reports, in its own thread."""

    def __init__(self, settings: CollectorSettings, events: EventFile, heartbeat: Heartbeat) -> None:
        self._settings = settings
        self._events = events
        self._heartbeat = heartbeat
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)
        self.report_metrics = metrics.ReportMetrics()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Write the waiting events, once, after the last ones were added."""
        self._stop.set()
        self._thread.join()
        self._turn(settle=0.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._turn()
            self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + self._settings.collect_interval
        while not self._stop.wait(_LOOK) and time.monotonic() < deadline:
            self._heartbeat.beat()
            metrics.WAITING_BYTES.set(self._events.measure())
            if self._events.is_filling:
                return

    def _turn(self, **settle: float) -> None:
        self._heartbeat.beat()
        try:
            store = ArtifactStore(self._settings.store)
            compactor = Compactor(self._events.path, store, self._settings.clock_tolerance, **settle)
            self._record(store, compactor.run())
            self.report_metrics.reports = read_latest_reports(store)
        except LifecycleError as error:
            metrics.STORE_FAILURES.inc()
            _log.error("Events are waiting for the store: %s", error)
        else:
            metrics.LAST_TURN.set_to_current_time()

    def _record(self, store: ArtifactStore, summary: Summary) -> None:
        """Count the events; lines that are not events are stored for people to look at."""
        metrics.ROWS.inc(summary.rows)
        metrics.REJECTED.inc(summary.rejected)
        file = summary.rejected_file
        if file:
            _log.error("%d lines are not inference events, the first because %s", summary.rejected, summary.reason)
            file.rename(file.with_name(f"{uuid.uuid4().hex}{_REJECTED}"))
        for renamed in self._events.path.parent.glob(
            f"*{_REJECTED}"
        ):  # of this iteration, and of earlier ones that failed here
            store.upload(renamed, layout.rejected_folder(datetime.now(UTC).date()))
            renamed.unlink()


def read_latest_reports(store: ArtifactStore) -> list[DriftReport]:
    """The last report on each model. Raises LifecycleError; invalid reports are left out, and logged."""
    reports = []
    with tempfile.TemporaryDirectory() as scratch:
        for path in store.list_files(layout.LATEST_REPORTS, ".json"):
            try:
                reports.append(read(store.download(path, Path(scratch)).read_bytes()))
            except ValueError as error:
                _log.error("%s is not a report of an analysis: %s", store.locate(path), error)
    return reports


def run(settings: CollectorSettings, endpoint: EndpointSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises LifecycleError if it cannot start."""
    events, heartbeat = EventFile(settings.collect_folder, settings.collect_max_bytes), Heartbeat()
    collector = Collector(settings, events, heartbeat)
    REGISTRY.register(collector.report_metrics)
    port = endpoint.port or PORT
    config = uvicorn.Config(
        RequestTelemetry(create_app(settings, events, heartbeat)),
        endpoint.host,
        port,
        http=create_protocol(_LIMITS, lambda *_: metrics.EVENTS.labels("malformed").inc()),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=_DRAIN_TIMEOUT,
    )
    collector.start()
    try:
        run_until_stopped(uvicorn.Server(config), "PORT")
    finally:
        collector.close()


def create_app(settings: CollectorSettings, events: EventFile, heartbeat: Heartbeat) -> Starlette:
    """The ASGI application."""

    async def receive(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip() != _BATCH_TYPE:
            return _respond(415, "malformed", f"the content type must be {_BATCH_TYPE}")
        try:
            batch = json.loads(await read_body(request, settings.collect_max_body_bytes))
        except BodyTooLargeError:
            limit = f"{settings.collect_max_body_bytes} bytes (DRIFT_COLLECT_MAX_BODY_BYTES)"
            return _respond(413, "malformed", f"the body is larger than {limit}")
        if not isinstance(batch, list) or not all(isinstance(event, dict) for event in batch):
            return _respond(400, "malformed", "the body must be a JSON array of events")
        await run_in_threadpool(events.add, batch)
        metrics.EVENTS.labels("accepted").inc(len(batch))
        return JSONResponse({"accepted": len(batch)}, 202)

    async def report_health(request: Request) -> Response:  # noqa: ARG001
        if heartbeat.has_stopped():
            return PlainTextResponse("the collector's thread has stopped\n", 503)
        return PlainTextResponse("healthy\n")

    routes = [
        Route(PATH, receive, methods=["POST"]),
        Route("/health", report_health),
        Route("/ready", report_health),  # also without the store: events cannot be sent elsewhere
        Route("/metrics", _report_metrics),
    ]
    app = Starlette(routes=routes, exception_handlers=_HANDLERS)
    app.router.redirect_slashes = False
    return app


async def _report_metrics(request: Request) -> Response:
    return await run_in_threadpool(render_metrics, request)


async def _handle_full(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _respond(
        503, "refused", "too many events are waiting for the store; send these again", {"Retry-After": _RETRY_AFTER}
    )


async def _handle_disk(request: Request, error: Exception) -> Response:  # noqa: ARG001
    _log.error("Events cannot be written to DRIFT_COLLECT_FOLDER: %s", error)
    return _respond(
        503, "refused", "the events could not be written to disk; send them again", {"Retry-After": _RETRY_AFTER}
    )


async def _handle_slow(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _respond(408, "malformed", "the body did not arrive in time")


async def _handle_crowd(request: Request, error: Exception) -> Response:  # noqa: ARG001
    detail = "the collector has reached its limit of large bodies; send these again"
    return _respond(503, "refused", detail, {"Retry-After": _RETRY_AFTER})


async def _handle_malformed(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _respond(400, "malformed", "the body is not JSON, or does not match the headers")


async def _handle_disconnect(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return Response(status_code=CLIENT_CLOSED_REQUEST)  # the client does not read it


_HANDLERS: Mapping[Any, Any] = {
    FullError: _handle_full,
    OSError: _handle_disk,
    BodyTooSlowError: _handle_slow,
    TooManyBodiesError: _handle_crowd,
    MalformedBodyError: _handle_malformed,
    ValueError: _handle_malformed,
    ClientDisconnect: _handle_disconnect,
}


def _respond(status: int, result: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """The results `malformed` and `refused` count requests, because the number of their events is not known."""
    metrics.EVENTS.labels(result).inc()
    return JSONResponse({"error": detail}, status, headers)
