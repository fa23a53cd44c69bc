"""Pull requests, through GitHub's REST API or a compatible one.

https://docs.github.com/en/rest/pulls/pulls
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import httpx

from lifecycle.gitops.git import RepositoryError
from lifecycle.gitops.settings import GitopsSettings

_RECHECK = 60.0  # seconds; a rollout asks every few seconds, and GitHub allows 5000 requests an hour


@dataclass(frozen=True)
class PullRequest:
    """A pull request; `is_new` if the call that returns it has opened it."""

    url: str
    is_new: bool


class Forge:
    """Opens pull requests in the settings' project."""

    def __init__(self, settings: GitopsSettings) -> None:
        self._settings = settings
        self._known: dict[str, tuple[PullRequest, float]] = {}  # keyed by branch, with the time of the next check
        token = settings.token.get_secret_value() if settings.token else ""
        self._client = httpx.Client(
            base_url=f"{settings.forge_url.rstrip('/')}/repos/{settings.project}",
            headers={"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"},
            timeout=settings.timeout,
        )

    def open_pull_request(self, branch: str, title: str, body: str) -> PullRequest:
        """Open a pull request for the branch unless there is one. Raises RepositoryError."""
        known = self._known.get(branch)
        if known is None or known[1] < time.monotonic():
            known = self._known[branch] = (self._open(branch, title, body), time.monotonic() + _RECHECK)
            return known[0]
        return replace(known[0], is_new=False)

    def _open(self, branch: str, title: str, body: str) -> PullRequest:
        # The message quotes text from the registry: in a code block it can neither mention people nor load images.
        content = {"title": title, "body": f"```\n{body}```\n", "head": branch, "base": self._settings.branch}
        try:
            response = self._client.post("/pulls", json=content)
            is_new = response.is_success
            if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:  # there is a pull request for the branch
                owner = self._settings.project.split("/")[0]
                response = self._client.get("/pulls", params={"head": f"{owner}:{branch}", "state": "all"})
        except httpx.HTTPError as error:
            raise RepositoryError(f"{self._settings.forge_url} does not answer: {type(error).__name__}") from None
        found: Any = response.json() if response.is_success else None
        pull_request = found[0] if isinstance(found, list) and found else found
        if not isinstance(pull_request, dict):
            raise RepositoryError(
                f"{self._settings.forge_url} rejected the pull request for {branch} in {self._settings.project} "
                f"(status {response.status_code}); check that the token may write pull requests"
            )
        return PullRequest(str(pull_request["html_url"]), is_new)
