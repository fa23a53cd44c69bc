"""The guardrails' queries against a real Prometheus, which scrapes metrics with the names of lifecycle.serving.

Proves that the queries measure what the limits require, and that missing data is inconclusive. The services behind the
metrics are simulated. Skipped without a Prometheus in GROUNDWORK_PROMETHEUS or on PATH.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lifecycle.core import ModelVersion
from lifecycle.rollout.guardrails import Evaluation, Guardrails, Periods, Result
from lifecycle.rollout.settings import RolloutSettings
from support.network import free_port
from support.simulated_services import Service, Services
from support.waiting import eventually

CHAMPION = "0"
ROWS = [{"a": 1.0, "b": 2.0}] * 5


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with Services("wine").running() as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that scrapes the simulated services every half second."""
    program = find_prometheus()
    folder: Path = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n"
        f"scrape_configs: [{{job_name: models, static_configs: [{{targets: ['{services.url.removeprefix('http://')}']}}]}}]\n"
    )
    address = f"127.0.0.1:{free_port()}"
    # The series exist from the start, because a counter's first value is not an increase.
    for version in "0123456":
        services.count_requests(version, 1)
        services.lose_requests(version, 0)
    command = [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log) as process,
    ):
        try:
            eventually(lambda: has_series(address, "5"))
            yield f"http://{address}"
        finally:
            process.terminate()


def find_prometheus() -> str:
    """Prometheus's program, or a skip."""
    configured = os.environ.get("GROUNDWORK_PROMETHEUS")
    found = shutil.which(configured or "prometheus")
    if found is None and configured:
        pytest.fail(f"GROUNDWORK_PROMETHEUS is {configured}, which is not an executable: correct it, or unset it")
    if found is None:
        pytest.skip("GROUNDWORK_PROMETHEUS is not set, and no `prometheus` is on PATH")
    return found


def has_series(address: str, version: str, status: int = 200) -> bool:
    query = f'groundwork_requests_total{{version="{version}",status="{status}"}}'
    try:
        response = httpx.get(f"http://{address}/api/v1/query", params={"query": query}).json()
    except (httpx.HTTPError, ValueError):
        return False
    return bool(response.get("data", {}).get("result"))


def evaluate(
    services: Services, prometheus: str, version: str, result: Result, max_restarts: int | None = None
) -> Evaluation:
    """The evaluation, once it has this result, after one or two scrapes."""
    services["challenger"] = Service(version)
    settings = RolloutSettings(
        prometheus=prometheus,
        service_url=services.url + "/{service}",
        min_requests=50,
        max_restarts=max_restarts,
        readiness_period=0.01,
        metrics_block=60,
    )
    guardrails = Guardrails(settings, lambda _, number: ROWS[:number])

    def expected() -> Evaluation | None:
        versions = ModelVersion("wine", version), ModelVersion("wine", CHAMPION)
        evaluation = guardrails.evaluate(*versions, Periods(step=60, rollout=60))
        return evaluation if evaluation.result is result else None

    evaluation = eventually(expected, f"the evaluation of version {version} is {result.value}")
    assert evaluation is not None
    return evaluation


def test_enough_good_requests_pass(services: Services, prometheus: str) -> None:
    services.count_requests(CHAMPION, 500)
    services.count_requests("1", 500)
    assert evaluate(services, prometheus, "1", Result.PASSED).reasons == ()


def test_more_errors_than_the_champions_fail(services: Services, prometheus: str) -> None:
    services.count_requests("2", 1, status=500)
    eventually(lambda: has_series(prometheus.removeprefix("http://"), "2", 500))
    services.count_requests("2", 450)
    services.count_requests("2", 50, status=500)
    services.count_requests("2", 400, status=400)
    reasons = evaluate(services, prometheus, "2", Result.FAILED).reasons
    assert any(re.fullmatch(r"\d+ of \d+ requests failed, of the champion's 0 of \d+", reason) for reason in reasons)


def test_the_challenger_must_not_reject_more_inputs_than_the_champion(services: Services, prometheus: str) -> None:
    services.count_requests("7", 1, status=400)
    eventually(lambda: has_series(prometheus.removeprefix("http://"), "7", 400))
    services.count_requests("7", 450)
    services.count_requests("7", 50, status=400)
    reasons = evaluate(services, prometheus, "7", Result.FAILED).reasons
    assert any(re.fullmatch(r"\d+ of \d+ requests were rejected, of the champion's 0 of \d+", each) for each in reasons)


def test_slow_responses_fail_with_the_limit(services: Services, prometheus: str) -> None:
    services.count_requests("3", 450)
    services.count_requests("3", 100, seconds=4)
    reasons = evaluate(services, prometheus, "3", Result.FAILED).reasons
    assert any(re.fullmatch(r"\d+ of \d+ responses took longer than 2 s, more than 0\.05", each) for each in reasons)


def test_few_requests_and_missing_restarts_are_inconclusive(services: Services, prometheus: str) -> None:
    (reason,) = evaluate(services, prometheus, "4", Result.INCONCLUSIVE).reasons
    assert reason == "0 of 50 requests seen in 60 s"
    services.count_requests("5", 500)
    services["challenger"] = Service("5")
    assert evaluate(services, prometheus, "5", Result.PASSED).reasons == ()
    assert evaluate(services, prometheus, "5", Result.INCONCLUSIVE, max_restarts=0).reasons == [
        "Prometheus has no restarts"
    ]


def test_requests_that_dying_workers_lose_are_failures(services: Services, prometheus: str) -> None:
    services.count_requests("6", 400)
    services.lose_requests("6", 46, deaths=3)

    def has_both_reasons() -> bool:
        """A scrape may see the deaths before the requests that they lost."""
        reasons = evaluate(services, prometheus, "6", Result.FAILED).reasons
        died = any(reason.endswith("worker processes died, more than 0") for reason in reasons)
        return died and any(" requests failed, of the champion's 0 of " in reason for reason in reasons)

    assert eventually(has_both_reasons, "both are reasons")
