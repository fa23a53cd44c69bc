"""The whole way of a model in one go, with the time of each step, and the git log that it leaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from rehearsal import toolchain
from rehearsal.console import UserError, info
from rehearsal.kubernetes.cluster import Cluster
from rehearsal.scenarios import installation, model_steps
from rehearsal.scenarios.environment import ScenarioEnvironment, start_environment
from rehearsal.scenarios.processes import PYTHON
from rehearsal.scenarios.prometheus import PROMETHEUS
from rehearsal.session import Rehearsal, engine_arguments

_T = TypeVar("_T")
_OUTLIER_RATE = 0.3  # share of the requests in the last act that the challenger cannot answer
_WIDTH = 100
_SIMULATED = "  the clouds; nodes, kubelets, the cluster's network and gateway; Argo CD's Redis; the models' users"
_SILENCE = 20  # seconds after which a step says that it is going on


@dataclass
class Steps:
    """Does one step after the other, and remembers how long each took, in seconds."""

    taken: list[tuple[str, float]] = field(default_factory=list)

    def run_step(self, title: str, do: Callable[[], _T]) -> _T:
        info(f"{title} ...")
        since = time.monotonic()
        with _showing_progress(since):
            result = do()
        self.taken.append((title, time.monotonic() - since))
        info(f"  {self.taken[-1][1]:.1f} s")
        return result


@contextmanager
def _showing_progress(since: float) -> Iterator[None]:
    """Say now and then that a long step is still going on."""
    done = threading.Event()

    def show() -> None:
        while not done.wait(_SILENCE):
            info(f"  {time.monotonic() - since:.0f} s so far")

    threading.Thread(target=show, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def run(stack: str, port: int) -> int:
    """Rehearse a model's life on a stack. Raises UserError with what a person has to mend."""
    rehearsal = Rehearsal(stack, "lifecycle")
    _check()
    packages, program = installation.packages(), toolchain.ensure(PROMETHEUS)
    rehearsal.remove()  # it begins anew each time
    steps = Steps()
    info(f"Rehearsing a model's life on {stack}; the clouds, nodes and the cluster's network are simulated.")
    with rehearsal.running(port, list(packages)) as running:
        if running.cluster is None:
            raise UserError(
                f"There is no control plane, and so no cluster to serve models in: {running.unavailable_reason}"
            )
        cluster = running.cluster
        steps.run_step("Bring the stack up", lambda: _up(rehearsal, running.environment))
        for name, package in packages.items():
            steps.run_step(f"Install {name}", partial(installation.install, cluster.plane, name, package))
        installation.gateway_class(cluster.plane)
        environment = stack.partition("-")[2]
        with start_environment(cluster, environment, rehearsal.folder / "lifecycle") as scenario:
            _open(steps, scenario, cluster)
            steps.run_step("Have Prometheus watch the models", lambda: scenario.watch(program))
            _good_challenger(steps, scenario, "training-1")
            _good_challenger(steps, scenario, "training-2")
            _bad_challenger(steps, scenario, "slow", 0.0)
            _bad_challenger(steps, scenario, "failing", _OUTLIER_RATE)
            faults = cluster.plane.problems()
            log = scenario.repository.log()
    print(_summary(stack, steps, log), flush=True)
    for fault in faults:
        info(fault)
    return int(bool(faults))


def _check() -> None:
    if not PYTHON.exists():
        raise UserError("platform/lifecycle has no environment yet: `make lifecycle` makes it, and starts this.")


def _up(rehearsal: Rehearsal, environment: Mapping[str, str]) -> None:
    reply = rehearsal.pulumi(engine_arguments(rehearsal, ["up", "--yes", "--skip-preview"]), environment, quiet=True)
    if reply.returncode != 0:
        raise UserError(f"The stack does not come up:\n{reply.stdout[-3000:]}{reply.stderr[-1000:]}")


def _open(steps: Steps, scenario: ScenarioEnvironment, cluster: Cluster) -> None:
    """Everything that waits for models, and no model yet."""
    url, manifests = installation.applications(scenario.environment)
    cluster.git_server.add_repository(url, scenario.repository.folder)
    for manifest in manifests:
        installation.apply(scenario.plane, manifest)
    steps.run_step("Sync the empty repository", lambda: model_steps.synced(scenario))
    steps.run_step("Let MLflow call the promotion", lambda: model_steps.connect_registry(scenario))


def _good_challenger(steps: Steps, scenario: ScenarioEnvironment, training: str) -> None:
    version = steps.run_step("Train, gate and register", lambda: model_steps.train(scenario, training))
    _promoted(steps, scenario, version)
    ending = steps.run_step(f"Roll version {version} out", lambda: model_steps.roll_out(scenario, version))
    _told(scenario, ending)
    _expect(scenario, champion=version)


def _bad_challenger(steps: Steps, scenario: ScenarioEnvironment, kind: str, outlier_rate: float) -> None:
    champion = model_steps.aliases(scenario)["champion"]
    version = steps.run_step(f"Train a {kind} challenger", lambda: model_steps.register_bad(scenario, kind))
    _promoted(steps, scenario, version)
    ending = steps.run_step(
        f"Roll version {version} out, and back",
        lambda: model_steps.roll_out(scenario, version, outlier_rate=outlier_rate),
    )
    _told(scenario, ending)
    _expect(scenario, champion=champion)
    if "Revert" not in scenario.repository.newest():
        raise UserError(f"The {kind} challenger was not rolled back.")


def _promoted(steps: Steps, scenario: ScenarioEnvironment, version: str) -> None:
    took = steps.run_step(f"Promote version {version} by webhook", lambda: model_steps.promoted(scenario, version))
    info(f"  webhook to commit: {took:.1f} s, the gate's trial of the model among them")
    steps.run_step("Sync by Argo CD", lambda: model_steps.synced(scenario))
    steps.run_step("InferenceService Ready", lambda: model_steps.ready(scenario, "challenger"))


def _told(scenario: ScenarioEnvironment, ending: model_steps.Ending) -> None:
    for line in [
        *ending.said,
        f"answers by version and status: {dict(ending.answers)}",
        *scenario.notifications.last(),
    ]:
        info(f"  {line}")


def _expect(scenario: ScenarioEnvironment, champion: str) -> None:
    """What git, the cluster and the registry agree on after every rollout, however it ended."""
    model_steps.synced(scenario)
    model_steps.gone(scenario, "challenger")
    model_steps.ready(scenario, "champion")
    aliases, weights = model_steps.aliases(scenario), model_steps.weights(scenario)
    if aliases != {"champion": champion} or list(weights.values()) != [100]:
        raise UserError(f"After the rollout the registry says {aliases}, and the route {weights}.")


def _summary(stack: str, steps: Steps, log: str) -> str:
    title = f" A model's life on {stack} "
    lines = [f"{title:=^{_WIDTH}}", "", "Steps"]
    lines += [f"  {seconds:6.1f} s  {name}" for name, seconds in steps.taken]
    lines += ["", "Commits", *(f"  {line}" for line in log.splitlines())]
    lines += ["", "Simulated", _SIMULATED]
    return "\n".join([*lines, "=" * _WIDTH])
