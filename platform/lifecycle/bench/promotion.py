"""From a registry event to its commit in the remote: 10,000 signed deliveries over real HTTP, none may be lost.

Real: the receiver and the worker as processes of their own with the command line's parts, HTTP and HMAC, SQLite with a
sync for each event, MLflow's registry (its SQL store, opened without its HTTP server), git and a bare repository on
this machine. Simulated: the gate, which passes at once: a real one takes the seconds that loading a model takes.

    python bench/promotion.py [--events N] [--rate N]     events in all; events per second offered
"""

from __future__ import annotations

import argparse
import http.client
import json
import logging
import multiprocessing
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from mlflow import MlflowClient

from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.inbox import Inbox
from lifecycle.promotion.notify import Notifier
from lifecycle.promotion.publisher import Publisher
from lifecycle.promotion.receiver import PATH, create_app
from lifecycle.promotion.registry import Registry
from lifecycle.promotion.settings import NotifySettings, ReceiverSettings, WorkerSettings
from lifecycle.promotion.signature import DELIVERY, SIGNATURE, TIMESTAMP, sign
from lifecycle.promotion.worker import Worker

SECRET = "the-secret-of-this-bench"  # noqa: S105 (of no other use)
MODELS = 500  # an environment's models; each event is another version of one of them
SENDERS = 8
PATIENCE = 600.0  # seconds after the last delivery


class Passed:
    """The simulated gate's answer."""

    passed = True
    reasons: tuple[str, ...] = ()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=40.0)
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        remote = _remote(folder)
        registry = f"sqlite:///{folder}/mlflow.db"
        client = MlflowClient(registry, registry)
        for number in range(MODELS):
            client.create_registered_model(f"model-{number}")
        inbox = f"sqlite:///{folder}/inbox.db"
        Inbox(inbox).close()
        with _process(_receive, inbox) as port, _process(_work, inbox, str(remote), registry):
            sent = _offer(client, port, options.events, options.rate)
            arrived = _await(remote, sent)
    return _report(sent, arrived, options.rate)


def _remote(folder: Path) -> Path:
    seed, remote = folder / "seed", folder / "remote.git"
    (seed / "dev").mkdir(parents=True)
    (seed / "dev" / "kustomization.yaml").write_text("resources: []\n")
    identity = ["-c", "user.name=Bench", "-c", "user.email=bench@localhost"]
    for command in (
        ["git", "init", "--quiet", "--initial-branch=main", str(seed)],
        ["git", "-C", str(seed), "add", "."],
        ["git", "-C", str(seed), *identity, "commit", "--quiet", "-m", "An empty environment"],
        ["git", "clone", "--quiet", "--bare", str(seed), str(remote)],
    ):
        subprocess.run(command, check=True)
    # When a commit arrived is the remote's to say: it notes each push that it has taken.
    hook = remote / "hooks" / "post-receive"
    hook.write_text('#!/bin/sh\nread old new ref\necho "$(date +%s.%N) $old $new" >> pushes\n')
    hook.chmod(0o755)
    return remote


@contextmanager
def _process(target: object, *arguments: str) -> Iterator[int]:
    """A process with a pipe, by which it says once what others need to know."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=target, args=(there, *arguments), daemon=True)  # type: ignore[arg-type]
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def _receive(ready: object, inbox: str) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    ready.send(listening.getsockname()[1])  # type: ignore[attr-defined]
    app = create_app(ReceiverSettings(webhook_secret=SECRET), Inbox(inbox))
    uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off")).run(sockets=[listening])


def _work(ready: object, inbox: str, remote: str, registry: str) -> None:
    logging.disable(logging.INFO)
    publisher = Publisher(GitopsSettings(repository=remote))
    notifier = Notifier(NotifySettings())
    gate = lambda client, name, version: Passed()  # noqa: E731, ARG005
    worker = Worker(WorkerSettings(), Inbox(inbox), Registry(registry), gate, publisher, notifier, "dev")
    ready.send(0)  # type: ignore[attr-defined]
    worker.run(threading.Event())


def _offer(client: MlflowClient, port: int, events: int, rate: float) -> dict[str, float]:
    """Set aliases and deliver their events at a steady rate; when each was sent, by delivery.

    One version after the other of each model, a model's next one only a whole round later: as an event that the next
    one overtakes is superseded, and no commit.
    """
    sent: dict[str, float] = {}
    begun = time.time()
    lock = threading.Lock()

    def deliver(first: int) -> None:
        for number in range(first, events, SENDERS):
            name = f"model-{number % MODELS}"
            version = client.create_model_version(name, "s3://bench/model", None, await_creation_for=0).version
            client.set_registered_model_alias(name, "challenger", version)
            time.sleep(max(0.0, begun + number / rate - time.time()))
            delivery, when = str(uuid.uuid4()), time.time()
            _post(port, delivery, name, str(version))
            with lock:
                sent[delivery] = when

    senders = [threading.Thread(target=deliver, args=(first,)) for first in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return sent


def _post(port: int, delivery: str, name: str, version: str) -> None:
    data = {"name": name, "alias": "challenger", "version": version}
    event = {"entity": "model_version_alias", "action": "created", "timestamp": "now", "data": data}
    body, timestamp = json.dumps(event).encode(), str(int(time.time()))
    headers = {DELIVERY: delivery, TIMESTAMP: timestamp, SIGNATURE: sign(SECRET, delivery, timestamp, body)}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", PATH, body, headers)
    reply = connection.getresponse()
    connection.close()
    if reply.status != http.client.ACCEPTED:
        raise RuntimeError(f"the receiver answered {reply.status}")


def _await(remote: Path, sent: dict[str, float]) -> dict[str, float]:
    """When each delivery's commit had arrived in the remote."""
    pushes = remote / "pushes"
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        arrived = _arrivals(remote, pushes)
        if arrived.keys() >= sent.keys():
            break
        time.sleep(2)
    return arrived


def _arrivals(remote: Path, pushes: Path) -> dict[str, float]:
    if not pushes.exists():
        return {}
    moments = {line.split()[2]: float(line.split()[0]) for line in pushes.read_text().splitlines()}
    format_ = "--format=%H %(trailers:key=Groundwork-Event,valueonly,separator=)"
    log = subprocess.run(["git", "-C", str(remote), "log", format_, "main"], capture_output=True, text=True, check=True)
    arrived: dict[str, float] = {}
    moment = 0.0
    for line in log.stdout.splitlines():  # newest first: a commit arrived with the push of the next tip
        commit, _, event = line.partition(" ")
        moment = moments.get(commit, moment)
        if event:
            if event in arrived:
                raise RuntimeError(f"event {event} has two commits")
            arrived[event] = moment
    return arrived


def _report(sent: dict[str, float], arrived: dict[str, float], rate: float) -> int:
    lost = sent.keys() - arrived.keys()
    times = sorted(arrived[event] - sent[event] for event in sent.keys() & arrived.keys())
    took = max(arrived.values()) - min(sent.values())
    cuts = statistics.quantiles(times, n=100)
    pushes = len(set(arrived.values()))
    print(f"{len(sent)} events, {rate:g}/s offered, {len(times) / took:.1f}/s committed by {pushes} pushes")
    print(f"lost: {len(lost)}")
    print(f"event to commit: p50 {cuts[49]:.3f} s, p99 {cuts[98]:.3f} s, longest {times[-1]:.3f} s (goal: p99 1 s)")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
