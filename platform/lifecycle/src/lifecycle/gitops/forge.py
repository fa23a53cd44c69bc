"""Pull requests, through GitHub's REST API or one that is like it.

https://docs.github.com/en/rest/pulls/pulls
"""

from __future__ import annotations

from typing import Any

import httpx

from lifecycle.gitops.git import RepositoryError
from lifecycle.gitops.settings import GitopsSettings

_UNPROCESSABLE = 422  # what GitHub answers when there is a pull request for the branch


class Forge:
    """Opens pull requests in the settings' project."""

    def __init__(self, settings: GitopsSettings) -> None:
        self._settings = settings
        token = settings.token.get_secret_value() if settings.token else ""
        self._client = httpx.Client(
            base_url=f"{settings.forge.rstrip('/')}/repos/{settings.project}",
            headers={"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"},
            timeout=settings.patience,
        )

    def request_merge(self, branch: str, title: str, body: str) -> str:
        """The address of the pull request for the branch, opened if there is none. Raises RepositoryError."""
        wanted = {"title": title, "body": body, "head": branch, "base": self._settings.branch}
        try:
            reply = self._client.post("/pulls", json=wanted)
            if reply.status_code == _UNPROCESSABLE:
                owner = self._settings.project.split("/")[0]
                reply = self._client.get("/pulls", params={"head": f"{owner}:{branch}", "state": "all"})
        except httpx.HTTPError as error:
            raise RepositoryError(f"{self._settings.forge} cannot be reached: {type(error).__name__}") from None
        found: Any = reply.json() if reply.is_success else None
        found = found[0] if isinstance(found, list) and found else found
        if not isinstance(found, dict):
            raise RepositoryError(
                f"{self._settings.forge} refused the pull request for {branch} in {self._settings.project} "
                f"(status {reply.status_code}); check that the token may write pull requests"
            )
        return str(found["html_url"])
