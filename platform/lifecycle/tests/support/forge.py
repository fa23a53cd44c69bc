"""Simulated: a forge with GitHub's responses, in front of a real repository whose branch it protects.

https://docs.github.com/en/rest/pulls/pulls#create-a-pull-request
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lifecycle.gitops.settings import GitopsSettings
from support.git_remote import GitRemote
from support.network import HttpRequest, HttpResponse, serve_http

TOKEN = "a-forge-token"


class SimulatedForge:
    """Opens pull requests, and merges them as people do."""

    def __init__(self) -> None:
        self.url = ""
        self.opened: dict[str, Any] = {}
        self.merged: list[str] = []
        self.status = 201
        self.authorization: set[str] = set()

    @contextmanager
    def running(self) -> Iterator[SimulatedForge]:
        with serve_http(self._respond) as self.url:
            yield self

    def settings(self, remote: GitRemote) -> GitopsSettings:
        return GitopsSettings(
            stack="dev",
            repository=str(remote.path),
            mode="pull-request",
            forge_url=self.url,
            project="groundwork/models",
            token=TOKEN,
        )

    def protect(self, remote: GitRemote) -> None:
        """Reject every push to the branch."""
        remote.install_hook("update", '[ "$1" != refs/heads/main ] || { echo "main is protected" >&2; exit 1; }')

    def merge(self, remote: GitRemote) -> None:
        """Merge the pull request that was opened last, with a merge commit."""
        branch = list(self.opened)[-1]
        assert branch not in self.merged, "no pull request is open"
        self.merged.append(branch)
        tree = remote.git("merge-tree", "--write-tree", "main", branch)
        identity = ("-c", "user.name=Person", "-c", "user.email=person@localhost")
        parents = ("-p", "main", "-p", branch)
        commit = remote.git(*identity, "commit-tree", tree, *parents, "-m", f"Merge pull request from {branch}")
        remote.git("update-ref", "refs/heads/main", commit)

    def _respond(self, request: HttpRequest) -> HttpResponse:
        self.authorization.add(request.headers["authorization"])
        if request.method == "GET":
            return self._find(request.path)
        assert request.path == "/repos/groundwork/models/pulls"
        return self._open(request.json())

    def _open(self, content: dict[str, Any]) -> HttpResponse:
        if self.status != 201:
            return HttpResponse(self.status, {"message": "no"})
        if content["head"] in self.opened:
            return HttpResponse(422, {"message": "Validation Failed"})
        self.opened[content["head"]] = content
        return HttpResponse(201, {"html_url": self._address(content["head"])})

    def _find(self, path: str) -> HttpResponse:
        head = parse_qs(urlsplit(path).query)["head"][0].removeprefix("groundwork:")
        return HttpResponse(200, [{"html_url": self._address(head)}])

    def _address(self, head: str) -> str:
        return f"https://forge.example/pull/{list(self.opened).index(head) + 1}"
