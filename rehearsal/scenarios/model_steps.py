"""The steps of the model lifecycle. Each returns when its effect is visible in the cluster or the registry."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from rehearsal.console import UserError
from rehearsal.polling import WaitTimeoutError, wait_until
from rehearsal.scenarios import argocd_application, model_registry
from rehearsal.scenarios.environment import ScenarioEnvironment
from rehearsal.scenarios.kubelet_stub import pod_log
from rehearsal.scenarios.model_registry import MODEL
from rehearsal.scenarios.pod_processes import find_service_pod
from rehearsal.scenarios.processes import package, python
from rehearsal.scenarios.waiting import wait_for_step

_NAMESPACE = "serving"
_SERVING = "serving.kserve.io/v1beta1"
TRAINING_TIMEOUT = 600.0  # seconds; the pipeline takes about a minute
_ROLLOUT_TIMEOUT = 600.0  # seconds
_INBOX_TIMEOUT = 10  # seconds to wait while another process writes

_CLIENTS = 4
_WAITING_MESSAGES = ("guardrails pass", "evaluation inconclusive", "waiting: ")
_END = re.compile(r"(settled|rolled-back): version ")
_STATUS_TAG = "groundwork.status"
_FINAL = ("serving", "rolled-back")  # its values when a rollout has ended
_INTERVAL = 1.0  # seconds between two polls of a rollout
_SHOWN_MESSAGES = 5


@dataclass(frozen=True)
class Traffic:
    """The requests of users.

    population    of platform/lifecycle/rehearsal/populations.py, which provides the measurements
    outlier_rate  share of the requests, from 0 to 1, with a value that no row of the training data has
    """

    population: str
    outlier_rate: float = 0.0


@dataclass(frozen=True)
class Responses:
    """The responses that users have received so far.

    counts  of responses, keyed by `<version>/<status>`
    right   the share of right predictions, keyed by version
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    right: Mapping[str, float] = field(default_factory=dict)


def wait_until_registered(environment: ScenarioEnvironment) -> None:
    """Wait until the promotion's worker has registered its webhook in MLflow."""
    wait_for_step(
        lambda: model_registry.find_webhooks(environment),
        "The promotion's worker has not registered its webhook in MLflow",
    )


def train(environment: ScenarioEnvironment, name: str) -> str:
    """Run the training pipeline, which registers a challenger; returns its version."""
    environment.processes.start_module(name, "lifecycle.training", "run")
    environment.processes.wait_until_finished(name, TRAINING_TIMEOUT)
    return model_registry.get_challenger(environment)


def register_challenger(environment: ScenarioEnvironment, kind: str, population: str, name: str) -> str:
    """Register a challenger that passes the gate: `sound`, `slow` or `failing`; returns its version.

    It is trained on the measurements of `population`, one of platform/lifecycle/rehearsal/populations.py.
    """
    environment.processes.start(name, [python(), package() / "rehearsal" / "challengers.py", kind, population])
    environment.processes.wait_until_finished(name, TRAINING_TIMEOUT)
    return model_registry.get_challenger(environment)


def wait_until_promoted(environment: ScenarioEnvironment, version: str) -> float:
    """Wait for the promotion's commit; returns the seconds from the webhook to the commit."""
    repository = environment.repository
    wait_for_step(lambda: f"version {version}" in repository.head_message(), f"Version {version} is not promoted")
    wait_for_step(lambda: _promotion_time(environment, version), f"The promotion of version {version} has not finished")
    return _promotion_time(environment, version)


def wait_until_synced(environment: ScenarioEnvironment, application: str = argocd_application.MODELS) -> None:
    """Wait until Argo CD has applied the latest commit of an Application."""
    api, revision = environment.plane.api, environment.repository.head_commit()
    wait_for_step(
        lambda: argocd_application.is_synced(api, application, revision),
        f"Argo CD has not synced {revision[:9]} of {application}",
        lambda: argocd_application.describe_out_of_sync(api, application),
    )


def wait_until_ready(environment: ScenarioEnvironment, role: str) -> None:
    """Wait until the InferenceService of a role, champion or challenger, is Ready."""
    wait_for_step(lambda: _is_ready(environment, role), f"The InferenceService {MODEL}-{role} is not Ready")


@contextmanager
def users(environment: ScenarioEnvironment, name: str, traffic: Traffic) -> Iterator[Callable[[], Responses]]:
    """Request predictions under the model's hostname, as users do, while the context lasts.

    Its value returns the responses so far, once all are counted when the context has ended.
    """
    script = package() / "rehearsal" / "traffic.py"
    arguments = [_find_url(environment), str(_CLIENTS), traffic.population, str(traffic.outlier_rate)]
    processes = environment.processes
    processes.start(name, [python(), script, *arguments])
    try:
        yield lambda: _read_responses(processes.output_lines(name))
    finally:
        environment.plane.supervisor.stop(name)


def wait_until_rolled_out(environment: ScenarioEnvironment, version: str) -> Sequence[str]:
    """Wait until the cluster's controller has rolled a challenger out, or back.

    Returns the messages of the rollout's steps, without those about waiting. Raises UserError.
    """
    try:
        wait_until(
            lambda: model_registry.get_tags(environment, version).get(_STATUS_TAG) in _FINAL,
            timeout=_ROLLOUT_TIMEOUT,
            interval=_INTERVAL,
        )
    except WaitTimeoutError:
        tail = "\n".join(_rollout_messages(environment)[-_SHOWN_MESSAGES:])
        raise UserError(
            f"The rollout of version {version} has not ended after {_ROLLOUT_TIMEOUT:g} s. Its last steps:\n{tail}"
        ) from None
    return [line for line in _rollout_messages(environment) if not any(text in line for text in _WAITING_MESSAGES)]


def wait_until_deleted(environment: ScenarioEnvironment, role: str) -> None:
    """Wait until the InferenceService of a role is deleted, with everything that KServe created for it."""
    wait_for_step(
        lambda: not _get_inference_service(environment, role), f"The InferenceService {MODEL}-{role} is not deleted"
    )


def get_weights(environment: ScenarioEnvironment) -> Mapping[str, int]:
    """The weights of the HTTPRoute in the cluster, in percent, keyed by service."""
    rules = _get_route(environment).get("spec", {}).get("rules") or [{}]
    return {backend["name"]: backend["weight"] for backend in rules[0].get("backendRefs", ())}


def _find_url(environment: ScenarioEnvironment) -> str:
    """The URL for predictions, under the hostname that the promotion assigned to the model's route."""
    return f"http://{_get_route(environment)['spec']['hostnames'][0]}/v2/models/{MODEL}/infer"


def _get_route(environment: ScenarioEnvironment) -> Mapping[str, Any]:
    return environment.plane.api.get("gateway.networking.k8s.io/v1", "HTTPRoute", MODEL, _NAMESPACE) or {}


def _promotion_time(environment: ScenarioEnvironment, version: str) -> float:
    """Seconds from an event's arrival in the inbox to its end; 0 while it has not ended."""
    with closing(sqlite3.connect(environment.inbox, timeout=_INBOX_TIMEOUT)) as inbox:
        statement = "SELECT finished - received FROM event WHERE version = ? AND outcome = 'promoted'"
        row = inbox.execute(statement, (version,)).fetchone()
    return float(row[0]) if row else 0.0


def _read_responses(lines: Sequence[str]) -> Responses:
    counts = [line for line in lines if line.startswith("{") and line.endswith("}")]
    if not counts:
        return Responses()
    content = json.loads(counts[-1])
    return Responses(content["responses"], content["right"])


def _rollout_messages(environment: ScenarioEnvironment) -> list[str]:
    """The messages that the rollout's controller has logged about the latest rollout."""
    log = pod_log(environment.plane, find_service_pod(environment.plane.api, "rollout-controller"))
    messages: list[str] = []
    for line in log.read_text(errors="replace").splitlines():
        message = _read_message(line)
        if message:
            if messages and _END.match(messages[-1]):
                messages = []
            messages.append(message)
    return messages


def _read_message(line: str) -> str:
    """The message of a line of JSON about the model's rollout; empty for any other line."""
    try:
        text = json.loads(line)["message"]
    except (ValueError, TypeError, KeyError):
        return ""
    return text.removeprefix(f"{MODEL}: ") if str(text).startswith(f"{MODEL}: ") else ""


def _get_inference_service(environment: ScenarioEnvironment, role: str) -> Mapping[str, Any]:
    return environment.plane.api.get(_SERVING, "InferenceService", f"{MODEL}-{role}", _NAMESPACE) or {}


def _is_ready(environment: ScenarioEnvironment, role: str) -> bool:
    conditions = _get_inference_service(environment, role).get("status", {}).get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
