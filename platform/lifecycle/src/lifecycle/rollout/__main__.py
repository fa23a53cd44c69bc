"""Rollouts on the command line: to the end, by one step, or back."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence

from lifecycle.contract import LifecycleError
from lifecycle.gitops.repository import Repository, RepositoryError
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.notify import Notifier
from lifecycle.promotion.registry import Registry, RegistryError
from lifecycle.promotion.settings import NotifySettings, RegistrySettings, read
from lifecycle.rollout.controller import Controller, RolloutError, Step
from lifecycle.rollout.guardrails import Guardrails, held_out
from lifecycle.rollout.settings import RolloutSettings

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 done, 1 not possible, 2 called wrongly. A rollback that was made is done."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses, and Slack's are secrets
    parser = argparse.ArgumentParser(prog="python -m lifecycle.rollout", description=__doc__)
    parser.add_argument("command", choices=["run", "step", "abort"])
    parser.add_argument("name", help="the registered model's name")
    options = parser.parse_args(arguments)
    try:
        settings, gitops = read(RolloutSettings), read(GitopsSettings)
        uri, notifier = read(RegistrySettings).mlflow_tracking_uri, Notifier(read(NotifySettings))
        registry = Registry(uri)
        if not registry.has(options.name):
            raise RolloutError(f"there is no model '{options.name}' in the registry {uri}; give the name it has there")
        repository = Repository(gitops)
        controller = Controller(settings, repository, registry, Guardrails(settings, held_out(registry)), notifier)
        try:
            _command(controller, options.command, options.name, settings.poll)
        finally:
            repository.close()
    except LifecycleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _command(controller: Controller, command: str, name: str, poll: float) -> None:
    if command == "run":
        _run(controller, name, poll)
    else:
        taken = controller.step(name) if command == "step" else controller.abort(name, "aborted by hand")
        print(f"{name}: {taken.words}")


def _run(controller: Controller, name: str, poll: float) -> None:
    """Look until nothing is left to roll out; a registry or a repository that is away is waited for."""
    said = ""
    while True:
        try:
            taken = controller.step(name)
        except (RegistryError, RepositoryError) as error:
            taken = Step(f"waiting: {error}")
        if taken.words != said:
            print(f"{name}: {taken.words}", flush=True)
        said = taken.words
        if taken.done:
            return
        time.sleep(poll)


if __name__ == "__main__":
    sys.exit(main())
