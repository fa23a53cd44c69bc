"""The alerting scenario: three faults of a stack, the notifications that people get, and the actions of their runbooks.

A slow challenger receives requests, Argo CD cannot sync a commit, and MLflow has ended. The summary shows the time from
each fault to its notification.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from rehearsal import project, toolchain
from rehearsal.console import UserError, info
from rehearsal.scenarios import model_lifecycle, model_steps
from rehearsal.scenarios.alert_receiver import AlertReceiver
from rehearsal.scenarios.environment import ScenarioEnvironment, run_environment
from rehearsal.scenarios.model_registry import MODEL
from rehearsal.scenarios.model_steps import Traffic
from rehearsal.scenarios.monitoring import Monitoring, start_monitoring
from rehearsal.scenarios.processes import start_mlflow
from rehearsal.scenarios.prometheus import ALERTMANAGER, PROMETHEUS
from rehearsal.scenarios.rollout_stage import promote
from rehearsal.scenarios.runbooks import Runbook
from rehearsal.scenarios.step_runner import StepRunner
from rehearsal.scenarios.waiting import wait_for_step
from rehearsal.session import Rehearsal

# Guardrails that somebody set too wide: a slow challenger receives requests, and stays at its first step.
_ROLLOUT_SETTINGS = {
    "ROLLOUT_INTERVAL": "3600",
    "ROLLOUT_MAX_P95": "60",
    "ROLLOUT_PROGRESS_DEADLINE": "3600",
    "ROLLOUT_POLL_INTERVAL": "1",
}
_TRAFFIC = Traffic("first-camera")
_STUCK_FILE = "stuck.yaml"
# An object of a kind that the Argo CD project of the models does not allow.
_STUCK = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: stuck}\n"


@dataclass
class Timeline:
    """When an alert began, arrived and ended; seconds from the fault.

    followed  the commands of its runbook that were run
    """

    alert: str
    fault: float = field(default_factory=time.time)
    notified: float = 0.0
    fixed: float = 0.0
    silent: float = 0.0
    followed: Sequence[str] = ()


@dataclass(frozen=True)
class Scene:
    """The environment in which the faults are caused."""

    environment: ScenarioEnvironment
    monitoring: Monitoring
    receiver: AlertReceiver
    variables: Mapping[str, str]
    stack: str

    def runbook(self, alert: str) -> Runbook:
        page = project.current().root / "platform" / "runbooks" / f"{alert}.md"
        return Runbook(page, self.environment, self.variables)


def run_on(rehearsal: Rehearsal, result: Path, port: int = 0) -> int:
    """Run the scenario on a rehearsal whose stack may be up already; returns an exit code.

    result  a file for the timelines, the targets and the rules, as JSON
    """
    programs = [toolchain.ensure(PROMETHEUS), toolchain.ensure(ALERTMANAGER)]
    runner, receiver = StepRunner(), AlertReceiver()
    with rehearsal.running(port) as running, receiver.run() as address:
        if running.cluster is None:
            raise UserError(f"This scenario needs a control plane, which cannot run here: {running.unavailable_reason}")
        runner.run_step("Bring the stack up", lambda: model_lifecycle.bring_up(rehearsal, running.environment))
        repository = model_lifecycle.require_repository(running, rehearsal.stack)
        folder = rehearsal.folder / "alerting"
        with run_environment(rehearsal.stack, running.cluster, repository, folder, _ROLLOUT_SETTINGS) as environment:
            model_lifecycle.prepare_gitops(runner, environment, rehearsal.stack)
            monitoring = runner.run_step(
                "Start Prometheus and Alertmanager", lambda: start_monitoring(environment, programs, address)
            )
            scene = Scene(environment, monitoring, receiver, running.environment, rehearsal.stack)
            timelines = _play(runner, scene)
            found = {
                "timelines": [asdict(each) for each in timelines],
                "targets": monitoring.list_targets(),
                "rules": monitoring.list_rules(),
                "problems": list(running.cluster.plane.problems()),
            }
    result.write_text(json.dumps(found, indent=2))
    for seconds, name in ((seconds, name) for name, seconds in runner.durations):
        info(f"  {seconds:6.1f} s  {name}")
    return 0


def _play(runner: StepRunner, scene: Scene) -> Sequence[Timeline]:
    environment = scene.environment
    version = _promote(runner, environment, "sound")
    with model_steps.users(environment, f"traffic-{version}", _TRAFFIC):
        runner.run_step("Roll out", lambda: model_steps.wait_until_rolled_out(environment, version))
    _wait_until_up(scene.monitoring)
    with model_steps.users(environment, "users", _TRAFFIC):
        slow = runner.run_step("A slow challenger", lambda: _rehearse_slow_challenger(runner, scene))
    stuck = runner.run_step("A commit that cannot be synced", lambda: _rehearse_failing_sync(scene))
    dead = runner.run_step("MLflow ends", lambda: _rehearse_mlflow_outage(scene))
    for timeline in (slow, stuck, dead):
        wait_for_step(partial(scene.monitoring.is_silent, timeline.alert), f"{timeline.alert} still fires")
        timeline.silent = time.time() - timeline.fault
    return slow, stuck, dead


def _wait_until_up(monitoring: Monitoring) -> None:
    wait_for_step(
        lambda: _are_all_up(monitoring), "Not all targets are up", lambda: json.dumps(monitoring.list_targets())
    )


def _are_all_up(monitoring: Monitoring) -> bool:
    targets = monitoring.list_targets()
    return bool(targets) and set(targets.values()) == {"up"}


def _promote(runner: StepRunner, environment: ScenarioEnvironment, kind: str) -> str:
    train = partial(model_steps.register_challenger, environment, kind, _TRAFFIC.population, f"training-{kind}")
    version = runner.run_step(f"Train a {kind} challenger", train)
    promote(runner, environment, version)
    return version


def _rehearse_slow_challenger(runner: StepRunner, scene: Scene) -> Timeline:
    environment = scene.environment
    version = _promote(runner, environment, "slow")
    wait_for_step(lambda: _get_share(environment) == 10, f"Version {version} receives no requests")
    with _expect(scene, "ModelLatencyHigh", f"version {version}") as timeline:
        runbook = scene.runbook(timeline.alert)
        labels, log = runbook.follow("How to see it", model=MODEL)
        is_shown = "challenger" in labels and f'"version": "{version}"' in log
        _check(is_shown, "The runbook's commands do not show the challenger and its log")
        runbook.follow("First five minutes", model=MODEL)
        wait_for_step(lambda: "Revert" in environment.repository.head_message(), "The rollout is not reverted")
        model_steps.wait_until_synced(environment)
        model_steps.wait_until_deleted(environment, "challenger")
        timeline.followed = runbook.followed
    return timeline


def _get_share(environment: ScenarioEnvironment) -> int:
    """The challenger's share of the requests, in percent."""
    weights = model_steps.get_weights(environment)
    return next((weight for service, weight in weights.items() if "challenger" in service), 0)


def _rehearse_failing_sync(scene: Scene) -> Timeline:
    environment = scene.environment
    folder = Path("stacks") / scene.stack
    environment.repository.commit(lambda clone: _add_stuck(clone / folder), "Add what the project does not allow")
    with _expect(scene, "ArgoCdOutOfSync", "Application models") as timeline:
        runbook = scene.runbook(timeline.alert)
        listed, described = runbook.follow("How to see it", name="models")
        _check(
            "OutOfSync" in listed and "ConfigMap" in described, "The runbook's commands do not show what is out of sync"
        )
        environment.repository.commit(lambda clone: _remove_stuck(clone / folder), "Correct it in git")
        runbook.follow("Fix", name="models")
        model_steps.wait_until_synced(environment)
        timeline.followed = runbook.followed
    return timeline


def _add_stuck(folder: Path) -> None:
    (folder / _STUCK_FILE).write_text(_STUCK)
    _edit_resources(folder, lambda resources: [*resources, _STUCK_FILE])


def _remove_stuck(folder: Path) -> None:
    (folder / _STUCK_FILE).unlink()
    _edit_resources(folder, lambda resources: [each for each in resources if each != _STUCK_FILE])


def _edit_resources(folder: Path, edit: Callable[[Sequence[str]], Sequence[str]]) -> None:
    file = folder / "kustomization.yaml"
    content = yaml.safe_load(file.read_text())
    content["resources"] = edit(content.get("resources", ()))
    file.write_text(yaml.safe_dump(content, sort_keys=False))


def _rehearse_mlflow_outage(scene: Scene) -> Timeline:
    environment = scene.environment
    environment.plane.supervisor.stop("mlflow")
    with _expect(scene, "MlflowDown", "mlflow") as timeline:
        runbook = scene.runbook(timeline.alert)
        runbook.follow("How to see it")
        port = urlsplit(environment.mlflow_url).port
        start_mlflow(environment.processes, port or 0)  # in place of the pod that Kubernetes or `make up` would start
        _wait_until_up(scene.monitoring)
        runbook.follow("Verify")
        timeline.followed = runbook.followed
    return timeline


@contextmanager
def _expect(scene: Scene, alert: str, *words: str) -> Iterator[Timeline]:
    """Measure from the fault, which is now, to its notification; the block then corrects the fault."""
    timeline = Timeline(alert)
    wait_for_step(lambda: scene.receiver.find(f"FIRING {alert}", *words), f"No notification of {alert} has arrived")
    (first, *_) = scene.receiver.find(f"FIRING {alert}", *words)
    timeline.notified = first.at - timeline.fault
    info(f"  {alert}: notified {timeline.notified:.0f} s after the fault")
    yield timeline
    timeline.fixed = time.time() - timeline.fault


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise UserError(message)
