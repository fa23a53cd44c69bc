"""The steps of an experiment: define it in git, send users through its router, and act on its verdict."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml

from rehearsal.console import UserError
from rehearsal.scenarios import argocd_application, jobs, model_registry, model_steps
from rehearsal.scenarios.environment import ScenarioEnvironment
from rehearsal.scenarios.model_registry import MODEL
from rehearsal.scenarios.processes import package, python
from rehearsal.scenarios.waiting import wait_for_step

_NAMESPACE = "serving"
_ROUTE = ("gateway.networking.k8s.io/v1", "HTTPRoute", "experiments", _NAMESPACE)
_ROUTERS, _ROUTER_PORT = "app.kubernetes.io/name=experiment-router", 8000
_CRON_JOB = "experiments-decide"
_FILE = "stacks/{}/experiments/experiments.yaml"
_EXPERIMENT_TAG, _VERDICT_TAG, _REASONS_TAG = (
    "groundwork.experiment",
    "groundwork.verdict",
    "groundwork.verdict_reasons",
)

_DAY = 24 * 3600.0  # seconds
_USER_WINDOW = 15.0  # seconds in which a user's requests count, in place of days
_USERS = 320  # about 160 of each variant, of 100 at least
_CLIENTS = 6
_MAX_LOOKS = 8  # runs of the analysis, each of which is a Job
_TIMEOUT = 30  # seconds for a response


def define(environment: ScenarioEnvironment, name: str) -> None:
    """Commit an experiment with the model, as people do, and wait until its router has loaded it.

    Windows last seconds, and half of the users participate, so that it is decided in minutes. Because processes on this
    machine wait for each other, a challenger may take up to a second longer than the champion, and up to twice as long.
    """
    window = round(_USER_WINDOW / _DAY, 6)
    entry = {
        "name": name,
        "model": MODEL,
        "challenger_percent": 50,
        "challenger_timeout": 10,
        "user_window_days": window,
        "outcome_window_days": window,
        "outcomes": {"correct": "continuous"},
        "criteria": {
            "outcome": "correct",
            "better": "higher",
            "minimum_effect": 0.05,
            "maximum_days": 1,
            "guardrails": [
                {"outcome": "latency", "tolerance": 1.0},
                {"outcome": "errors", "tolerance": 0.05},
                {"outcome": "fallbacks", "tolerance": 0.05},
            ],
        },
    }
    file = _FILE.format(environment.stack)
    environment.repository.commit(lambda clone: _add(clone / file, entry), f"Compare challengers: {name}")
    model_steps.wait_until_synced(environment, argocd_application.EXPERIMENTS)
    wait_for_step(
        lambda: is_known(environment, name),
        f"The router of experiments does not know {name}",
    )


def _add(file: Path, entry: Mapping[str, Any]) -> None:
    content = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({"experiments": [*content["experiments"], entry]}, sort_keys=False))


def wait_until_entered(environment: ScenarioEnvironment, version: str, name: str) -> None:
    """Wait until the rollout has entered a challenger: from then on its users' requests count."""
    wait_for_step(
        lambda: model_registry.get_tags(environment, version).get(_EXPERIMENT_TAG) == name,
        f"Version {version} does not participate in the experiment {name}",
    )


@contextmanager
def users(environment: ScenarioEnvironment, name: str) -> Iterator[Callable[[], Mapping[str, Any]]]:
    """Simulate users who send requests repeatedly while the context lasts; its value returns their counts so far."""
    script, processes = package() / "rehearsal" / "experiment_traffic.py", environment.processes
    arguments = [_find_host(environment), MODEL, "two-cameras", str(_USERS), str(_CLIENTS)]
    process = f"users-of-{name}"
    processes.start(process, [python(), script, *arguments])
    try:
        yield lambda: _read_counts(processes.output_lines(process))
    finally:
        environment.plane.supervisor.stop(process)


def wait_until_all_came(read_counts: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Wait until each user has sent requests, and the last user's window has closed; returns the counts."""
    wait_for_step(
        lambda: read_counts().get("users") == _USERS,
        "Not all users of the experiment have sent requests",
        lambda: f"So far: {dict(read_counts())}",
    )
    closed = time.monotonic() + _USER_WINDOW
    wait_for_step(lambda: time.monotonic() > closed, "The window of the last user has not closed")
    return read_counts()


def decide(environment: ScenarioEnvironment, version: str, name: str) -> tuple[str, str]:
    """Run the stack's CronJob repeatedly until the verdict is final; returns the verdict and its reasons."""
    printed = ""
    for number in itertools.count(1):
        job = f"decide-{name}-{number}"
        jobs.start_now(environment.plane.api, _NAMESPACE, _CRON_JOB, job)
        printed = jobs.wait_until_succeeded(environment.plane, _NAMESPACE, job).strip()
        tags = model_registry.get_tags(environment, version)
        experiment, _, action = tags.get(_VERDICT_TAG, "").partition(": ")
        if experiment == name and action in ("promote", "stop"):
            return action, tags.get(_REASONS_TAG, "")
        if number == _MAX_LOOKS:
            break
    raise UserError(
        f"The experiment {name} is not decided after {_MAX_LOOKS} looks. Output of the last one:\n{printed}"
    )


def is_known(environment: ScenarioEnvironment, name: str) -> bool:
    """Whether the experiment is running on all routers."""
    found = [stats.get("state") for stats in _read_stats(environment, name)]
    return bool(found) and set(found) == {"running"}


def count(environment: ScenarioEnvironment, name: str) -> Mapping[str, int]:
    """The counts of an experiment from the routers' /ab-test/stats: requests by variant, outcomes, fallbacks.

    Raises UserError unless both variants answered, and outcomes arrived.
    """
    found: Counter[str] = Counter()
    for stats in _read_stats(environment, name):
        found.update({variant: each["requests"] for variant, each in stats["variants"].items()})
        found.update(outcomes=stats["outcomes"], fallbacks=sum(stats["fallbacks"].values()))
    counts = {key: found[key] for key in ("champion", "challenger", "outcomes", "fallbacks")}
    if min(counts["champion"], counts["challenger"], counts["outcomes"]) == 0:
        raise UserError(f"The routers count {counts} for the experiment {name} after all its users have sent requests.")
    return counts


def read_state(environment: ScenarioEnvironment, name: str) -> str:
    """The state of an experiment in the experiments' file in git: `running` or `ended`."""
    entries = yaml.safe_load(environment.repository.read(_FILE.format(environment.stack)))["experiments"]
    return next(str(entry.get("state", "running")) for entry in entries if entry["name"] == name)


def _read_stats(environment: ScenarioEnvironment, name: str) -> list[Mapping[str, Any]]:
    """Each router's statistics of an experiment, without the routers that do not know it."""
    found = []
    for pod in environment.plane.api.list("v1", "Pod", _NAMESPACE, label_selector=_ROUTERS):
        url = f"http://{pod['status'].get('podIP')}:{_ROUTER_PORT}/ab-test/stats"
        reply = requests.get(url, proxies={"http": environment.proxy_url}, timeout=_TIMEOUT)
        found.append(reply.json()["experiments"].get(name, {}) if reply.ok else {})
    return found


def _find_host(environment: ScenarioEnvironment) -> str:
    route = environment.plane.api.get(*_ROUTE)
    if route is None:
        raise UserError(
            "The stack has no router of experiments: set groundwork:images.experiment. `pulumi up` prints why."
        )
    return f"http://{route['spec']['hostnames'][0]}"


def _read_counts(lines: Sequence[str]) -> Mapping[str, Any]:
    counts = [line for line in lines if line.startswith("{") and line.endswith("}")]
    content: Mapping[str, Any] = json.loads(counts[-1]) if counts else {}
    return content
