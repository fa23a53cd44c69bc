"""The guardrails' queries, answered by a real Prometheus that scrapes metrics named as the serving package names them.

Proves that the queries mean what the limits say, and that what was not counted is unknown. The services behind the
metrics are simulated. Skipped where there is no Prometheus: GROUNDWORK_PROMETHEUS names its program, else PATH has it.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from lifecycle.gitops.manifests import Lineage
from lifecycle.rollout.guardrails import Grade, Guardrails, Judgement
from lifecycle.rollout.settings import RolloutSettings

from .simulated import Service, Services

PATIENCE = 60.0
ROWS = [{"a": 1.0, "b": 2.0}] * 5


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with Services("wine").running() as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that scrapes the simulated services each half second."""
    binary = program()
    folder: Path = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n"
        f"scrape_configs: [{{job_name: models, static_configs: [{{targets: ['{services.url.removeprefix('http://')}']}}]}}]\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    # The series exist from the start, as a counter's first value is no increase.
    for version in "12345":
        services.answered(version, 1)
    command = [binary, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log) as process,
    ):
        try:
            waited(lambda: _counted(address, "5"))
            yield f"http://{address}"
        finally:
            process.terminate()


def program() -> str:
    """Prometheus's own program, or a skip."""
    told = os.environ.get("GROUNDWORK_PROMETHEUS")
    found = shutil.which(told or "prometheus")
    if found is None and told:
        pytest.fail(f"GROUNDWORK_PROMETHEUS is {told}, and that is no program: set it to Prometheus's, or unset it")
    if found is None:
        pytest.skip("GROUNDWORK_PROMETHEUS is not set, and no `prometheus` is on PATH")
    return found


def _counted(address: str, version: str, status: int = 200) -> bool:
    query = f'groundwork_requests_total{{version="{version}",status="{status}"}}'
    try:
        reply = httpx.get(f"http://{address}/api/v1/query", params={"query": query}).json()
    except (httpx.HTTPError, ValueError):
        return False
    return bool(reply.get("data", {}).get("result"))


def waited(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.2)


def judged(services: Services, prometheus: str, version: str, grade: Grade, restarts: int | None = None) -> Judgement:
    """The judgement once it is of this grade, which takes a scrape or two."""
    services["challenger"] = Service(version)
    settings = RolloutSettings(
        prometheus=prometheus, service_url=services.url + "/{service}", requests=50, restarts=restarts, ready_pause=0.01
    )
    guardrails = Guardrails(settings, lambda _, number: ROWS[:number])
    found = Judgement(Grade.UNKNOWN)

    def right() -> bool:
        nonlocal found
        found = guardrails.judge(Lineage("wine", version), requests_for=60)
        return found.grade is grade

    waited(right)
    return found


def test_enough_good_requests_are_good(services: Services, prometheus: str) -> None:
    services.answered("1", 500)
    assert judged(services, prometheus, "1", Grade.GOOD).reasons == ()


def test_one_error_in_ten_is_bad_and_says_how_many(services: Services, prometheus: str) -> None:
    services.answered("2", 1, status=500)
    waited(lambda: _counted(prometheus.removeprefix("http://"), "2", 500))
    services.answered("2", 450)
    services.answered("2", 50, status=500)
    (reason,) = judged(services, prometheus, "2", Grade.BAD).reasons
    assert reason.startswith("error rate is 0.")
    assert reason.endswith("more than 0.05")


def test_one_slow_answer_in_ten_is_a_bad_95th_percentile(services: Services, prometheus: str) -> None:
    services.answered("3", 450)
    services.answered("3", 50, seconds=4)
    (reason,) = judged(services, prometheus, "3", Grade.BAD).reasons
    assert reason.startswith("p95 in seconds is ")


def test_few_requests_and_uncounted_restarts_are_unknown(services: Services, prometheus: str) -> None:
    (reason,) = judged(services, prometheus, "4", Grade.UNKNOWN).reasons
    assert reason == "0 of 50 requests seen in 60 s"
    services.answered("5", 500)
    services["challenger"] = Service("5")
    assert judged(services, prometheus, "5", Grade.GOOD).reasons == ()
    assert judged(services, prometheus, "5", Grade.UNKNOWN, restarts=0).reasons == ["Prometheus has no restarts"]
