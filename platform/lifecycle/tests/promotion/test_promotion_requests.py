"""Promotion by pull request: a branch in a real repository, and a simulated forge with GitHub's answers.

Proves one branch and one request per event, whatever is repeated. That GitHub itself answers so is its documentation's
word: https://docs.github.com/en/rest/pulls/pulls#create-a-pull-request
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from lifecycle.gitops.manifests import Lineage
from lifecycle.gitops.repository import RepositoryError
from lifecycle.gitops.settings import GitopsSettings
from lifecycle.promotion.publisher import Published, Publisher
from promotion_parts import Remote

TOKEN = "a-forge-token"


class SimulatedForge:
    def __init__(self) -> None:
        self.url = ""
        self.opened: dict[str, Any] = {}
        self.status = 201
        self.authorization: set[str] = set()

    def post(self, asked: dict[str, Any]) -> tuple[int, Any]:
        if self.status != 201:
            return self.status, {"message": "no"}
        if asked["head"] in self.opened:
            return 422, {"message": "Validation Failed"}
        self.opened[asked["head"]] = asked
        return 201, {"html_url": f"https://forge.example/pull/{len(self.opened)}"}

    def get(self, path: str) -> tuple[int, Any]:
        head = parse_qs(urlsplit(path).query)["head"][0].removeprefix("groundwork:")
        number = list(self.opened).index(head) + 1
        return 200, [{"html_url": f"https://forge.example/pull/{number}"}]


@pytest.fixture
def forge() -> Iterator[SimulatedForge]:
    simulated = SimulatedForge()

    class Handler(BaseHTTPRequestHandler):
        def _reply(self, status: int, content: Any) -> None:
            simulated.authorization.add(str(self.headers["Authorization"]))
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            assert self.path == "/repos/groundwork/models/pulls"
            self._reply(*simulated.post(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def do_GET(self) -> None:
            self._reply(*simulated.get(self.path))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        simulated.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield simulated
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def publisher(remote: Remote, forge: SimulatedForge) -> Iterator[Publisher]:
    settings = GitopsSettings(
        repository=str(remote.path), mode="pull-request", forge=forge.url, project="groundwork/models", token=TOKEN
    )
    made = Publisher(settings)
    yield made
    made.close()


def test_a_promotion_is_one_branch_and_one_request(publisher: Publisher, remote: Remote, forge: SimulatedForge) -> None:
    (published,) = publisher.publish({"e1": Lineage("wine", "3", "run-1")}).values()
    assert published == Published(remote.git("rev-parse", "groundwork/e1"), "https://forge.example/pull/1")
    assert published.outcome == "requested"
    assert remote.events() == [], "nothing is on the branch before people agree"
    assert remote.events("groundwork/e1") == ["e1"]
    (asked,) = forge.opened.values()
    assert (asked["head"], asked["base"]) == ("groundwork/e1", "main")
    assert asked["title"] == "Promote wine version 3 to challenger"
    assert "Groundwork-Run-Id: run-1" in asked["body"]
    assert forge.authorization == {f"Bearer {TOKEN}"}


def test_a_repeated_event_finds_its_request(publisher: Publisher, remote: Remote, forge: SimulatedForge) -> None:
    first = publisher.publish({"e1": Lineage("wine", "3")})
    remote.somebody_pushes("dev/other", "text")
    assert publisher.publish({"e1": Lineage("wine", "3")}) == first
    assert len(forge.opened) == 1


def test_a_branch_without_a_request_gets_it(publisher: Publisher, remote: Remote, forge: SimulatedForge) -> None:
    """What a worker leaves that is killed between the two."""
    forge.status = 500
    with pytest.raises(RepositoryError, match=r"status 500.*the token may write pull requests"):
        publisher.publish({"e1": Lineage("wine", "3")})
    forge.status = 201
    (published,) = publisher.publish({"e1": Lineage("wine", "3")}).values()
    assert published.request == "https://forge.example/pull/1"
    assert remote.events("groundwork/e1") == ["e1"]


def test_a_forge_that_is_away_is_said_without_its_token(publisher: Publisher) -> None:
    settings = publisher._settings.model_copy(update={"forge": "http://127.0.0.1:9"})
    away = Publisher(settings)
    with pytest.raises(RepositoryError, match="cannot be reached") as error:
        away.publish({"e1": Lineage("wine", "3")})
    assert TOKEN not in str(error.value) + repr(settings)


def test_a_request_needs_a_forge_that_is_known(remote: Remote) -> None:
    with pytest.raises(ValidationError, match="needs GITOPS_TOKEN and GITOPS_PROJECT"):
        GitopsSettings(repository=str(remote.path), mode="pull-request")
