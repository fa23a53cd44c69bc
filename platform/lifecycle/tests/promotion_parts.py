"""What the tests of promotion and rollout stand on; each part is real but for what its name says."""

from __future__ import annotations

import json
import multiprocessing
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient

from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.registry import CHALLENGER

# For processes that die: a server that has imported what takes long, and forks each of them. It does not get this
# process's sys.path before Python 3.13, so nothing of lifecycle's.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["mlflow.tracking.client", "mlflow.store.model_registry.rest_store", "pandas", "httpx"]
)

_AUTHOR = ("-c", "user.name=Test", "-c", "user.email=test@localhost")


@dataclass(frozen=True)
class Report:
    """What the gates of these tests answer."""

    passed: bool
    reasons: Sequence[str] = ()


def passing(*_: object) -> Report:
    """A gate that lets everything pass."""
    return Report(True)


def failing(*_: object) -> Report:
    """A gate that lets nothing pass."""
    return Report(False, ["accuracy 0.61 is below 0.9"])


@dataclass(frozen=True)
class Remote:
    """A bare git repository, seen from outside by git itself."""

    path: Path

    @classmethod
    def make(cls, path: Path) -> Remote:
        work = path.with_suffix(".seed")
        (work / "dev").mkdir(parents=True)
        (work / "dev" / "kustomization.yaml").write_text(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: []\n"
        )
        for command in (
            ["git", "init", "--quiet", "--initial-branch=main", str(work)],
            ["git", "-C", str(work), "add", "."],
            ["git", "-C", str(work), *_AUTHOR, "commit", "--quiet", "-m", "An empty environment"],
            ["git", "clone", "--quiet", "--bare", str(work), str(path)],
        ):
            subprocess.run(command, check=True, capture_output=True)
        return cls(path)

    def git(self, *arguments: str) -> str:
        reply = subprocess.run(["git", "-C", str(self.path), *arguments], capture_output=True, text=True, check=True)
        return reply.stdout.strip()

    def events(self, branch: str = "main") -> list[str]:
        """The events in the history, oldest first, one per commit that has one."""
        text = self.git("log", "--reverse", "--format=%(trailers:key=Groundwork-Event,valueonly)", branch)
        return [line for line in text.splitlines() if line]

    def subjects(self) -> list[str]:
        return self.git("log", "--reverse", "--format=%s", "main").splitlines()

    def read(self, path: str) -> list[dict[str, Any]]:
        return list(yaml.safe_load_all(self.git("show", f"main:{path}")))

    def files(self) -> list[str]:
        return self.git("ls-tree", "-r", "--name-only", "main").splitlines()

    def somebody_pushes(self, path: str, text: str) -> None:
        """Another person commits a file meanwhile."""
        work = self.path.with_name(f"somebody-{uuid.uuid4()}")
        subprocess.run(["git", "clone", "--quiet", str(self.path), str(work)], check=True, capture_output=True)
        file = work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        for arguments in (
            ["add", "."],
            [*_AUTHOR, "commit", "--quiet", "-m", f"Somebody writes {path}"],
            ["push", "-q"],
        ):
            subprocess.run(["git", "-C", str(work), *arguments], check=True, capture_output=True)


class Models:
    """Registered models in a real MLflow, of names that no other test uses."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def name(self) -> str:
        name = f"model-{uuid.uuid4().hex[:8]}"
        self.client.create_registered_model(name)
        return name

    def version(self, name: str, alias: str = CHALLENGER) -> str:
        """A new version with a run, a data version and a git commit, and the alias on it."""
        run = self.client.create_run("0")
        version = self.client.create_model_version(
            name,
            f"{run.info.artifact_uri}/model",
            run.info.run_id,
            tags={"groundwork.data_version": "data-7", "groundwork.git_commit": "c0ffee"},
        )
        if alias:
            self.client.set_registered_model_alias(name, alias, version.version)
        return str(version.version)

    def status(self, name: str, version: str) -> str:
        return str(self.client.get_model_version(name, version).tags.get("groundwork.status", ""))

    def alias(self, name: str, alias: str) -> str:
        return str(self.client.get_registered_model(name).aliases.get(alias, ""))


class Listener:
    """An HTTP server that keeps the JSON it is sent, and answers with `status`."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}/"
        self.heard: list[Any] = []
        self.status = 200

    @classmethod
    @contextmanager
    def listening(cls) -> Iterator[Listener]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                listener.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(listener.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            listener = cls(server)
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield listener
            finally:
                server.shutdown()
                thread.join()


class Door:
    """A TCP proxy in front of a server: while it is shut, the server is away for whoever comes by `uri`."""

    def __init__(self, listening: socket.socket, uri: str) -> None:
        self.uri = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self.shut = False
        self._listening = listening
        self._behind = ("127.0.0.1", int(uri.rpartition(":")[2]))

    @classmethod
    @contextmanager
    def before(cls, uri: str) -> Iterator[Door]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            door = cls(listening, uri)
            threading.Thread(target=door._keep, daemon=True).start()
            yield door

    def _keep(self) -> None:
        with suppress(OSError):  # the test is over
            while True:
                visitor, _ = self._listening.accept()
                if self.shut:
                    visitor.close()
                    continue
                server = socket.create_connection(self._behind)
                for source, sink in ((visitor, server), (server, visitor)):
                    threading.Thread(target=_carry, args=(self, source, sink), daemon=True).start()


def _carry(door: Door, source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError), source, sink:
        while (part := source.recv(65536)) and not door.shut:
            sink.sendall(part)


def environment(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The variables of an InferenceService's container."""
    container = manifest["spec"]["predictor"]["containers"][0]
    return {variable["name"]: variable["value"] for variable in container["env"]}


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    """A bare repository with an empty environment `dev` on its branch `main`."""
    return Remote.make(tmp_path / "remote.git")


@pytest.fixture
def gitops(remote: Remote) -> GitopsSettings:
    return GitopsSettings(repository=str(remote.path))


@pytest.fixture
def models(mlflow_server: str) -> Models:
    return Models(mlflow_server)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """An address that takes JSON messages and keeps them."""
    with Listener.listening() as listening:
        yield listening
