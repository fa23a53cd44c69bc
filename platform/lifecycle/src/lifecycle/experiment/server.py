"""The router's process: an event loop for HTTP, and a thread for the spool."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from lifecycle.core.http_server import HttpLimits, create_protocol, run_until_stopped
from lifecycle.core.request_telemetry import RequestTelemetry
from lifecycle.experiment import metrics
from lifecycle.experiment.api import Api
from lifecycle.experiment.backends import Backends
from lifecycle.experiment.definitions import DefinitionsFile
from lifecycle.experiment.outcomes import Outcomes
from lifecycle.experiment.recorder import Recorder
from lifecycle.experiment.router import Router
from lifecycle.experiment.settings import RouterSettings, SpoolSettings
from lifecycle.experiment.spool import Spool

_BACKUP = "experiments.valid.yaml"
# The router is behind Envoy, which by default opens at most this many connections to a service:
# https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/circuit_breaker.proto (max_connections)
_LIMITS = HttpLimits(connections=1024)
_FLUSH_TIMEOUT = 5.0  # seconds for adding the queued records to the spool
# Seconds for which the spool's thread may hold the interpreter while requests wait. Python's default is 0.005.
_SWITCH_INTERVAL = 0.0002


def run(settings: RouterSettings, spool_settings: SpoolSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises LifecycleError if it cannot start."""
    server = create_server(settings, spool_settings)
    sys.setswitchinterval(_SWITCH_INTERVAL)
    gc.freeze()  # otherwise each full collection, during which requests wait, would visit all objects of the libraries
    run_until_stopped(server, "EXPERIMENT_PORT")


def create_server(
    settings: RouterSettings, spool_settings: SpoolSettings, limits: HttpLimits = _LIMITS
) -> uvicorn.Server:
    """The server, which listens only once it runs. Raises SpoolError, DefinitionsError."""
    config = uvicorn.Config(
        create_app(settings, spool_settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=create_protocol(limits, _count_refusal),
        ws="none",
        proxy_headers=False,  # nothing here uses a client's address
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=round(settings.drain_timeout),
    )
    return uvicorn.Server(config)


def create_app(settings: RouterSettings, spool_settings: SpoolSettings) -> ASGIApp:
    """The ASGI application. Raises SpoolError, DefinitionsError."""
    spool = Spool(spool_settings.folder, spool_settings.spool_max_bytes)
    definitions = DefinitionsFile(settings.file, spool_settings.folder / _BACKUP)
    backends, recorder = Backends(settings.service_url), Recorder(spool)
    router = Router(settings, definitions, backends, recorder)
    outcomes = Outcomes(definitions, recorder, settings.max_clock_difference)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        reloading = asyncio.create_task(_keep_reloading(definitions, settings.reload_interval))
        yield
        reloading.cancel()
        backends.close()
        await asyncio.to_thread(recorder.close, _FLUSH_TIMEOUT)

    return RequestTelemetry(Api(settings, definitions, router, outcomes).create_app(lifespan))


def _count_refusal(status: int, reason: str) -> None:  # noqa: ARG001
    metrics.REFUSALS.labels(reason).inc()


async def _keep_reloading(definitions: DefinitionsFile, interval: float) -> None:
    while True:
        metrics.DEFINITIONS_VALID.set(not definitions.problem)
        await asyncio.sleep(interval)
        await asyncio.to_thread(definitions.reload)
