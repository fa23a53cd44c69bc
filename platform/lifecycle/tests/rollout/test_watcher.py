"""`python -m lifecycle.rollout watch` with real git and a real MLflow server.

Proves that every model with a challenger is rolled out, that a model which cannot continue delays no other and resumes
after a person has corrected it, and that SIGTERM ends the process during a rollout, which the next process continues.
Services and Prometheus are simulated.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from lifecycle.core import ModelRegistry, Status
from lifecycle.gitops.git import RepositoryError
from lifecycle.gitops.repository import Repository
from lifecycle.rollout.controller import Controller
from lifecycle.rollout.watcher import Candidates, Watcher, find_candidates
from support.git_remote import GitRemote
from support.network import free_port
from support.registered_models import RegisteredModels
from support.rollout_environment import RolloutEnvironment
from support.waiting import eventually

SOURCE = Path(__file__).parents[2] / "src"


@contextmanager
def watching(environment: RolloutEnvironment, *other_models: str) -> Iterator[None]:
    """A watcher in a thread; `other_models` are additional candidates."""
    environment.settings |= {"poll_interval": 0.02, "max_retry_delay": 0.1}
    settings = environment.controller_parts()[0]
    repository, registry = Repository(environment.gitops), ModelRegistry(environment.models.uri)

    def find() -> Candidates:
        found = find_candidates(repository, registry)
        # The server's other models belong to other tests.
        return Candidates(
            found.commit, {*other_models, *(model for model in found.models if model == environment.model)}
        )

    @contextmanager
    def open_controller() -> Iterator[Controller]:
        yield environment.controller()

    stop = threading.Event()
    watcher = Watcher(settings, find, open_controller)
    thread = threading.Thread(target=watcher.run, args=(stop, lambda: None))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        repository.close()


def is_serving(models: RegisteredModels, model: str, version: str) -> bool:
    return models.status(model, version) == "serving"


def test_a_model_with_a_challenger_is_rolled_out(environment: RolloutEnvironment, models: RegisteredModels) -> None:
    with watching(environment):
        eventually(lambda: is_serving(models, environment.model, "2"), "version 2 is rolled out")
        environment.services["challenger"] = environment.services["champion"] = type(environment.services["champion"])(
            "3"
        )
        environment.promote()
        eventually(lambda: is_serving(models, environment.model, "3"), "so is a version that is promoted later")
    assert environment.weights() == [100]


def test_a_model_that_cannot_continue_does_not_delay_others(
    environment: RolloutEnvironment, models: RegisteredModels, remote: GitRemote, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    remote.push_file("stacks/dev/broken/generated/challenger.yaml", "not a manifest")
    with watching(environment, "broken"):
        eventually(lambda: is_serving(models, environment.model, "2"), "the other model is rolled out")
        eventually(
            lambda: "broken: waiting: stacks/dev/broken/generated in the repository is not in the form" in caplog.text
        )
    assert caplog.text.count("broken: waiting") == 1, "the same message is logged once"


def test_candidates_are_what_git_declares_and_the_registry_has_not_concluded(
    environment: RolloutEnvironment, models: RegisteredModels, remote: GitRemote
) -> None:
    registry = ModelRegistry(models.uri)
    concluded, open_ = models.create(), models.create()
    registry.set_status(concluded, models.create_version(concluded), Status.SERVING)
    registry.set_status(open_, models.create_version(open_), Status.ROLLING_OUT)
    repository = Repository(environment.gitops)
    found = find_candidates(repository, registry)
    assert {environment.model, open_} <= set(found.models)
    assert concluded not in found.models
    assert found.commit == remote.git("rev-parse", "main")

    remote.push_file("stacks/dev/kustomization.yaml", "resources: 7")
    with pytest.raises(RepositoryError, match=r"stacks/dev/kustomization.yaml in the repository is not in the form"):
        find_candidates(repository, registry)
    repository.close()


@contextmanager
def running_process(environment: RolloutEnvironment, port: int) -> Iterator[subprocess.Popen[str]]:
    variables = {
        **os.environ,
        "PYTHONPATH": str(SOURCE),
        "PORT": str(port),
        "ROLLOUT_PROMETHEUS": environment.prometheus.url,
        "ROLLOUT_SERVICE_URL": environment.services.url + "/{service}",
        "ROLLOUT_POLL_INTERVAL": "0.1",
        "GITOPS_REPOSITORY": str(environment.remote.path),
        "GITOPS_STACK": "dev",
        "MLFLOW_TRACKING_URI": environment.models.uri,
    }
    command = [sys.executable, "-m", "lifecycle.rollout", "watch"]
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_sigterm_ends_the_process_and_the_rollout_keeps_its_stage(environment: RolloutEnvironment) -> None:
    port = free_port()

    def is_healthy() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health").is_success
        except httpx.TransportError:
            return False

    with running_process(environment, port) as process:
        eventually(lambda: is_healthy() or process.poll() is not None, "the process is healthy")
        running = "groundwork_rollouts_running "
        metrics = eventually(
            lambda: [
                line
                for line in httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()
                if line.startswith(running) and line != f"{running}0.0"
            ],
            "a rollout is running",
        )
        assert metrics
        before = environment.remote.subjects()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert environment.remote.subjects() == before, "no rows were held out, so it waited at the first step"
