"""Rollouts on the command line: to the end, by one step, or back."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence

from lifecycle.core import (
    LifecycleError,
    ModelRegistry,
    NotificationSettings,
    Notifier,
    RegistryError,
    RegistrySettings,
    read_settings,
)
from lifecycle.gitops.git import RepositoryError
from lifecycle.gitops.repository import Repository
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.rollout.controller import Controller, RolloutError, StepResult
from lifecycle.rollout.guardrails import Guardrails, held_out_rows
from lifecycle.rollout.settings import RolloutSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 success, 1 not possible, 2 wrong usage. A completed rollback is a success."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses, and Slack's are secrets
    parser = argparse.ArgumentParser(prog="python -m lifecycle.rollout", description=__doc__)
    parser.add_argument("command", choices=["run", "step", "abort"])
    parser.add_argument("name", help="the registered model's name")
    options = parser.parse_args(arguments)
    try:
        settings, gitops = read_settings(RolloutSettings), read_settings(GitopsSettings)
        notifier = Notifier(read_settings(NotificationSettings))
        registry = ModelRegistry(read_settings(RegistrySettings).mlflow_tracking_uri, fail_fast=True)
        if not registry.has_model(options.name):
            raise RolloutError(
                f"the registry {registry.uri} has no model '{options.name}'; pass the name of a registered model"
            )
        repository = Repository(gitops)
        guardrails = Guardrails(settings, held_out_rows(registry))
        controller = Controller(settings, repository, registry, guardrails, notifier)
        try:
            _execute(controller, options.command, options.name, settings.poll_interval)
        finally:
            repository.close()
    except LifecycleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _execute(controller: Controller, command: str, name: str, poll_interval: float) -> None:
    if command == "run":
        _run(controller, name, poll_interval)
    else:
        result = controller.step(name) if command == "step" else controller.abort(name, "aborted by hand")
        print(f"{name}: {result.message}")


def _run(controller: Controller, name: str, poll_interval: float) -> None:
    """Step until nothing is left to roll out, through outages of the registry and the repository."""
    printed = ""
    while True:
        try:
            result = controller.step(name)
        except (RegistryError, RepositoryError) as error:
            result = StepResult(f"waiting: {error}")
        if result.message != printed:
            print(f"{name}: {result.message}", flush=True)
        printed = result.message
        if result.is_done:
            return
        time.sleep(poll_interval)


if __name__ == "__main__":
    sys.exit(main())
