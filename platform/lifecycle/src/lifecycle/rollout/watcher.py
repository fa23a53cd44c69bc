"""Rolls out every model that has a challenger, for as long as the process runs.

Git and the model registry say which models those are. Each is rolled out in its own thread, so a model that cannot
continue does not delay the others. When a process ends, the state of its rollouts is in git, and the next process
continues them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from lifecycle.core import LifecycleError, ModelRegistry, Status, tracing
from lifecycle.core.backoff import choose_delay
from lifecycle.core.logs import log_context
from lifecycle.gitops.manifests import is_valid_name
from lifecycle.gitops.model_folder import list_models_with_challenger
from lifecycle.gitops.repository import Repository
from lifecycle.rollout import metrics
from lifecycle.rollout.controller import Controller
from lifecycle.rollout.settings import RolloutSettings

_STOP_TIMEOUT = 20.0  # seconds for the steps in progress; a rollout may be left in the middle of one

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidates:
    """The models that may have something to roll out, as of a commit."""

    commit: str
    models: Collection[str]


def find_candidates(repository: Repository, registry: ModelRegistry) -> Candidates:
    """Models with a challenger in git, and models whose rollout was not concluded in the registry.

    Raises RepositoryError or RegistryError.
    """
    declared = list_models_with_challenger(repository.refresh(), repository.settings)
    # Anybody can register a model under a name that is a path, and set its status.
    open_ = {model for model in registry.list_models_with_status(Status.ROLLING_OUT) if is_valid_name(model)}
    return Candidates(repository.head, declared | open_)


class Watcher:
    """Starts a rollout for each candidate, and repeats failed steps with growing delays."""

    def __init__(
        self,
        settings: RolloutSettings,
        find: Callable[[], Candidates],
        open_controller: Callable[[], AbstractContextManager[Controller]],
    ) -> None:
        """`open_controller` returns a controller with its own clone: clones are not thread-safe."""
        self._settings = settings
        self._find = find
        self._open_controller = open_controller
        self._threads: dict[str, threading.Thread] = {}
        self._started_at: dict[str, str] = {}  # the commit at which each model's rollout was last started

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Watch until `stop` is set, then wait a little for steps in progress; `beat` is called in each iteration."""
        failures = 0
        while not stop.is_set():
            beat()
            try:
                self._start_rollouts(self._find(), stop)
                failures = 0
            except LifecycleError as error:
                metrics.FAILURES.labels("").inc()
                failures += 1
                _log.warning("The models to roll out could not be listed: %s", error)
            stop.wait(self._delay(failures))
        deadline = time.monotonic() + _STOP_TIMEOUT
        for thread in self._threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def _start_rollouts(self, candidates: Candidates, stop: threading.Event) -> None:
        self._threads = {model: thread for model, thread in self._threads.items() if thread.is_alive()}
        for model in candidates.models:
            # A rollout that has ended has nothing to do until git changes.
            if model in self._threads or self._started_at.get(model) == candidates.commit:
                continue
            self._started_at[model] = candidates.commit
            self._threads[model] = threading.Thread(target=self._roll_out, args=(model, stop), name=model, daemon=True)
            self._threads[model].start()
        metrics.RUNNING.set(len(self._threads))

    def _roll_out(self, model: str, stop: threading.Event) -> None:
        """Step until nothing is left to roll out, or `stop` is set."""
        logged, failures = "", 0
        with ExitStack() as stack:
            stack.enter_context(log_context(model=model))
            controller: Controller | None = None
            while not stop.is_set():
                try:
                    controller = controller or stack.enter_context(self._open_controller())
                    with tracing.span("rollout.step", model=model):
                        result = controller.step(model)
                    message, failures = result.message, 0
                except Exception as error:
                    # Retry: a person may correct the cause, or a dependency may come back.
                    result = None
                    message, failures = f"waiting: {error or type(error).__name__}", failures + 1
                    metrics.FAILURES.labels(model).inc()
                    if not isinstance(error, LifecycleError):
                        _log.exception("%s: a step failed unexpectedly", model)
                if message != logged:
                    _log.info("%s: %s", model, message)
                logged = message
                if result and result.is_done:
                    if result.status:
                        metrics.FINISHED.labels(result.status).inc()
                    return
                stop.wait(self._delay(failures))

    def _delay(self, failures: int) -> float:
        """Seconds until the next attempt after a number of failures in a row."""
        interval = self._settings.poll_interval
        return choose_delay(interval, failures, self._settings.max_retry_delay) if failures else interval
