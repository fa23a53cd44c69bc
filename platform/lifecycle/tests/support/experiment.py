"""An experiment's router with simulated services behind it, for the tests of lifecycle.experiment.

Simulated: champion and challenger, whose responses over real HTTP a test sets. Real: the router, its spool and the
stores.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from prometheus_client import REGISTRY

from lifecycle.core.http_server import HttpLimits
from lifecycle.experiment.assignment import decide
from lifecycle.experiment.records import Assignment, Outcome, Prediction, Record, Result
from lifecycle.experiment.server import create_server
from lifecycle.experiment.settings import RouterSettings, SpoolSettings
from lifecycle.experiment.spool import Spool, SpoolFullError
from lifecycle.gitops.experiments import DAY
from support.network import HttpRequest, HttpResponse, free_port, serve_http
from support.waiting import TIMEOUT, eventually

MODEL = "churn"
EXPERIMENT = "churn-forest"
KEY = "a-key-of-the-tests"
FILE = f"""
experiments:
  - name: {EXPERIMENT}
    model: {MODEL}
    challenger_percent: 50
    challenger_timeout: 5
    outcomes: {{converted: binary, revenue: continuous}}
  - name: last-year
    model: {MODEL}
    state: ended
    outcomes: {{converted: binary}}
"""
INFER = f"/v2/models/{MODEL}/infer"
SPOOL_BYTES = 1 << 22
LIMITS = HttpLimits()
TIME = 1_790_000_000.0  # seconds since 1970


@dataclass
class Backend:
    """How the service of a role behaves, and the requests that it has received."""

    response: HttpResponse
    delay: float = 0.0
    is_dead: bool = False
    received: list[HttpRequest] = field(default_factory=list)


class Services:
    """Champion and challenger of any model, under <url>/<service>."""

    def __init__(self) -> None:
        self.roles = {
            role: Backend(HttpResponse(200, f'{{"outputs": [], "of":   "{role}"}}'.encode()))
            for role in ("champion", "challenger")
        }

    def __getitem__(self, role: str) -> Backend:
        return self.roles[role]

    def respond(self, request: HttpRequest) -> HttpResponse:
        role = request.path.split("/")[1].removesuffix("-predictor").rpartition("-")[2]
        backend = self.roles[role]
        backend.received.append(request)
        time.sleep(backend.delay)
        if backend.is_dead:
            raise ConnectionResetError("the connection ends without a response")
        return backend.response


@dataclass(frozen=True)
class RunningRouter:
    """A router, and the folder of its spool and file."""

    client: httpx.Client
    services: Services
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "experiments.yaml"

    def recorded(self, kind: str, count: int) -> list[Record]:
        """The spool's records of a kind, once there are `count`."""
        spool = Spool(self.folder, SPOOL_BYTES)

        def find() -> list[Record]:
            found = [entry.record for entry in spool.read(10_000) if entry.record.kind == kind]
            return found if len(found) >= count else []

        try:
            return eventually(find, f"{count} records of kind {kind} are in the spool")
        finally:
            spool.close()


@contextmanager
def run_router(
    folder: Path, file: str = FILE, limits: HttpLimits = LIMITS, **settings: object
) -> Iterator[RunningRouter]:
    """A router in this process, with simulated services."""
    services = Services()
    (folder / "experiments.yaml").write_text(file)
    with serve_http(services.respond) as url:
        router_settings = RouterSettings.model_validate(
            {
                "file": folder / "experiments.yaml",
                "service_url": f"{url}/{{service}}",
                "USER_ID_KEY": KEY,
                "port": free_port(),
                "reload_interval": 0.05,
                **settings,
            }
        )
        spool_settings = SpoolSettings(folder=folder, spool_max_bytes=SPOOL_BYTES)
        server = create_server(router_settings, spool_settings, limits)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            eventually(lambda: server.started, "the router listens")
            with httpx.Client(base_url=f"http://127.0.0.1:{router_settings.port}", timeout=TIMEOUT) as client:
                yield RunningRouter(client, services, folder)
        finally:
            server.should_exit = True
            thread.join()


def fill(spool: Spool) -> int:
    """Add large records until the spool is full; returns how many. Small ones may still fit."""
    for added in range(10_000):
        try:
            spool.add([prediction(f"r{added}", response="x" * 1000)])
        except SpoolFullError:
            return added
    raise AssertionError("the spool accepts more than 10 MB: it has no limit")


def user_of(variant: str, percent: int = 50) -> str:
    """A user with this variant."""
    return next(user for user in map(str, range(10_000)) if decide(EXPERIMENT, user, percent * 100).variant == variant)


def metric(name: str, **labels: str) -> float:
    """The value of a sample in this process; 0 if there is none yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def prediction(request_id: str = "r1", at: float = TIME, **changes: object) -> Prediction:
    fields = {"user": "u1", "variant": "challenger", "served_by": "challenger", "fallback": ""}
    fields |= {"status": 200, "seconds": 0.25, "response": '{"outputs": []}', "experiment": EXPERIMENT, "share": 5000}
    fields |= changes
    return Prediction(request_id=request_id, time=at, **fields)  # type: ignore[arg-type]


def outcome(request_id: str = "r1", at: float = TIME + 60, value: float = 1.0, name: str = "converted") -> Outcome:
    return Outcome(EXPERIMENT, request_id, at, name, value)


def assignment(user: str = "u1", variant: str = "challenger", at: float = TIME) -> Assignment:
    return Assignment(EXPERIMENT, user, variant, 4711, at)


def create_results(users: int, effect: float, seed: int = 1, start: float = TIME, bias: float = 0.0) -> list[Result]:
    """Two requests of each user, who come within ten days; `bias` is the share of the challenger's that is missing."""
    draw = np.random.default_rng(seed)
    results: list[Result] = []
    for user in range(users):
        variant = ("champion", "challenger")[int(draw.integers(2))]
        if bias and variant == "challenger" and draw.random() < bias:
            continue
        at = start + draw.uniform(0, 10) * DAY
        for number in range(2):
            name = f"{user}-{number}"
            seconds = float(draw.lognormal(-3, 0.5))
            results.append(prediction(name, at + number, user=f"u{user}", variant=variant, seconds=seconds))
            value = float(draw.random() < 0.3 + effect * (variant == "challenger"))
            results.append(outcome(name, at + number + 60, value))
    return results
