"""Rollouts on the command line: of all models that have a challenger, or of one: to its end, by one step, or back."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial

from lifecycle.core import (
    EndpointSettings,
    ModelRegistry,
    NotificationSettings,
    Notifier,
    RegistryError,
    RegistrySettings,
    read_settings,
)
from lifecycle.core.command_line import report_errors, stop_on_signals
from lifecycle.core.endpoint import Heartbeat, serve_endpoint
from lifecycle.core.logs import configure_logging
from lifecycle.core.telemetry import observe
from lifecycle.core.text import to_line
from lifecycle.gitops.git import RepositoryError
from lifecycle.gitops.repository import Repository
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.rollout.controller import Controller, RolloutError, StepResult
from lifecycle.rollout.guardrails import Guardrails, held_out_rows
from lifecycle.rollout.settings import RolloutSettings
from lifecycle.rollout.watcher import Candidates, Watcher, find_candidates


@report_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 success, 1 not possible, 2 wrong usage. A completed rollback is a success."""
    configure_logging()
    options = _parser().parse_args(arguments)
    settings = read_settings(RolloutSettings)
    read_settings(GitopsSettings)
    registry = ModelRegistry(read_settings(RegistrySettings).mlflow_tracking_uri, fail_fast=True)
    options.run(options, settings, registry)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lifecycle.rollout", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    watch = commands.add_parser("watch", help="roll out every model that has a challenger, until stopped")
    watch.set_defaults(run=_watch)
    for name, execute, text in (
        ("run", _run, "roll a model out to its end"),
        ("step", _step, "take one step of a model's rollout, if it is due"),
        ("abort", _abort, "roll a model back"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("name", help="the registered model's name")
        command.set_defaults(run=partial(_execute, execute))
    return parser


def _watch(options: argparse.Namespace, settings: RolloutSettings, registry: ModelRegistry) -> None:  # noqa: ARG001
    stop, heartbeat = stop_on_signals(), Heartbeat()
    finder = _CandidateFinder(registry)
    watcher = Watcher(settings, finder.find, partial(_open_controller, settings, registry))
    with (
        observe("rollout-controller"),
        serve_endpoint(read_settings(EndpointSettings), heartbeat),
        closing(finder),
    ):
        watcher.run(stop, heartbeat.beat)


class _CandidateFinder:
    """Finds candidates in a clone created on first use, so the repository need not answer when the process starts."""

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry
        self._repository: Repository | None = None

    def find(self) -> Candidates:
        self._repository = self._repository or Repository(read_settings(GitopsSettings))
        return find_candidates(self._repository, self._registry)

    def close(self) -> None:
        if self._repository is not None:
            self._repository.close()


def _execute(
    execute: Callable[[Controller, str, float], None],
    options: argparse.Namespace,
    settings: RolloutSettings,
    registry: ModelRegistry,
) -> None:
    if not registry.has_model(options.name):
        raise RolloutError(
            f"the registry {registry.uri} has no model '{options.name}'; pass the name of a registered model"
        )
    with _open_controller(settings, registry) as controller:
        execute(controller, options.name, settings.poll_interval)


def _run(controller: Controller, name: str, poll_interval: float) -> None:
    """Step until nothing is left to roll out, through outages of the registry and the repository."""
    printed = ""
    while True:
        try:
            result = controller.step(name)
        except (RegistryError, RepositoryError) as error:
            result = StepResult(f"waiting: {error}")
        if result.message != printed:
            print(to_line(f"{name}: {result.message}"), flush=True)
        printed = result.message
        if result.is_done:
            return
        time.sleep(poll_interval)


def _step(controller: Controller, name: str, poll_interval: float) -> None:  # noqa: ARG001
    print(to_line(f"{name}: {controller.step(name).message}"))


def _abort(controller: Controller, name: str, poll_interval: float) -> None:  # noqa: ARG001
    print(to_line(f"{name}: {controller.abort(name, 'aborted by hand').message}"))


@contextmanager
def _open_controller(settings: RolloutSettings, registry: ModelRegistry) -> Iterator[Controller]:
    """A controller with its own clone."""
    notifier = Notifier(read_settings(NotificationSettings))
    guardrails = Guardrails(settings, held_out_rows(registry))
    with closing(Repository(read_settings(GitopsSettings))) as repository:
        yield Controller(settings, repository, registry, guardrails, notifier)


if __name__ == "__main__":
    sys.exit(main())
