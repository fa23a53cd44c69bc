"""The steps for drift: the check of the inference log, new data, and the training run that the check's event starts."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import requests

from rehearsal.console import UserError
from rehearsal.kubernetes.client import Object
from rehearsal.scenarios import jobs, model_steps
from rehearsal.scenarios.environment import ScenarioEnvironment
from rehearsal.scenarios.model_registry import MODEL
from rehearsal.scenarios.processes import package, python
from rehearsal.scenarios.waiting import wait_for_step

_NAMESPACE, _TRAINING = "lifecycle", "training"
_COLLECTOR, _COLLECTOR_PORT = "drift-collector", 8080
_CRON_JOB = "drift-check"
_RUNS = f"groundwork.dev/model={MODEL},groundwork.dev/trigger=drift"
_OUTCOME, _REASON = "groundwork.dev/outcome", "groundwork.dev/reason"
_MINUTE = 60.0  # seconds; a window that is shorter than an hour ends with a full minute
_TIMEOUT = 30  # seconds for a response
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def put_new_data(environment: ScenarioEnvironment, population: str) -> None:
    """Replace the file that retraining trains on, as a collector of data would."""
    name, file = "new-data", environment.data / f"{MODEL}.csv"
    script = package() / "rehearsal" / "populations.py"
    environment.processes.start(name, [python(), script, population, file])
    environment.processes.wait_until_finished(name, _MINUTE)


def wait_for_rows(environment: ScenarioEnvironment, rows: int) -> None:
    """Wait until `rows` more inferences are in the store, and the next window contains them."""
    wanted = _count_rows(environment) + rows
    wait_for_step(
        lambda: _count_rows(environment) >= wanted,
        f"The collector has not written {rows} inferences",
        lambda: f"It has written {_count_rows(environment):.0f} of {wanted:.0f} in all.",
    )
    end = time.time() // _MINUTE * _MINUTE + _MINUTE
    wait_for_step(lambda: time.time() > end, "The next full minute has not begun")


def check(environment: ScenarioEnvironment, name: str) -> Mapping[str, Any]:
    """Have the stack's CronJob check all champions; returns the report on the model's champion."""
    jobs.start_now(environment.plane.api, _NAMESPACE, _CRON_JOB, name)
    printed = jobs.wait_until_succeeded(environment.plane, _NAMESPACE, name)
    file = environment.inferences / "latest-drift" / f"{MODEL}.json"
    if not file.exists():
        raise UserError(f"The drift check has written no report {file}. Its output:\n{printed}")
    report: Mapping[str, Any] = json.loads(file.read_text())
    return report


def list_drifted_columns(report: Mapping[str, Any]) -> list[str]:
    return [f"{each['role']} {each['name']}" for each in report["columns"] if each["has_drifted"]]


def wait_for_metric(environment: ScenarioEnvironment, version: str, *, detected: bool) -> None:
    """Wait until the collector's metrics, which Prometheus scrapes, show the result of a version's last check."""
    labels = f'model="{MODEL}",version="{version}"'
    wait_for_step(
        lambda: _read_metrics(environment, "groundwork_drift_detected").get(labels) == float(detected),
        f"The metric groundwork_drift_detected of version {version} is not {int(detected)}",
    )


def wait_until_started(environment: ScenarioEnvironment) -> str:
    """Wait until the drift event has started a training run; returns the name of its Job."""
    wait_for_step(lambda: _find_run(environment), "The drift event has not started a training run")
    return str(_find_run(environment)[0]["metadata"]["name"])


def wait_until_trained(environment: ScenarioEnvironment, run: str) -> None:
    """Wait until a run has ended with a registered challenger. Raises UserError with its log if it has not."""
    jobs.wait_until_succeeded(environment.plane, _TRAINING, run, model_steps.TRAINING_TIMEOUT)


def wait_for_notice(environment: ScenarioEnvironment, version: str) -> str:
    """Wait until a notice reports how the run ended; returns the notice."""

    def find() -> str:
        texts = [text for text in environment.notifications.texts if "retrained" in text]
        return next((text for text in texts if f"{MODEL} version {version}" in text), "")

    wait_for_step(find, f"No notice reports that version {version} was retrained")
    (job,) = _find_run(environment)
    annotations = job["metadata"]["annotations"]
    if annotations.get(_OUTCOME) != "retrained" or "has drifted" not in annotations.get(_REASON, ""):
        raise UserError(
            f"The training run's Job should have annotations for why it ran and how it ended; it has: {annotations}"
        )
    return find()


def _find_run(environment: ScenarioEnvironment) -> Sequence[Object]:
    return jobs.list_jobs(environment.plane.api, _TRAINING, _RUNS)


def _count_rows(environment: ScenarioEnvironment) -> float:
    return sum(_read_metrics(environment, "groundwork_drift_written_rows_total").values())


def _read_metrics(environment: ScenarioEnvironment, name: str) -> Mapping[str, float]:
    """The values of a metric of the collector's pods, keyed by labels."""
    proxies, found = {"http": environment.proxy_url}, dict[str, float]()
    selector = f"app.kubernetes.io/name={_COLLECTOR}"
    for pod in environment.plane.api.list("v1", "Pod", _NAMESPACE, label_selector=selector):
        url = f"http://{pod['status'].get('podIP')}:{_COLLECTOR_PORT}/metrics"
        text = requests.get(url, proxies=proxies, timeout=_TIMEOUT).text
        for sample, labels, value in _SAMPLE.findall(text):
            if sample == name:
                found[labels] = found.get(labels, 0.0) + float(value)
    return found
