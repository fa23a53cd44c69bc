"""Pull requests, through GitHub's REST API or a compatible one.

https://docs.github.com/en/rest/pulls/pulls
"""

from __future__ import annotations

from typing import Any

import httpx

from lifecycle.gitops.git import RepositoryError
from lifecycle.gitops.settings import GitopsSettings


class Forge:
    """Opens pull requests in the settings' project."""

    def __init__(self, settings: GitopsSettings) -> None:
        self._settings = settings
        token = settings.token.get_secret_value() if settings.token else ""
        self._client = httpx.Client(
            base_url=f"{settings.forge_url.rstrip('/')}/repos/{settings.project}",
            headers={"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"},
            timeout=settings.timeout,
        )

    def open_pull_request(self, branch: str, title: str, body: str) -> str:
        """Open a pull request for the branch unless there is one; returns its URL. Raises RepositoryError."""
        # The message quotes the registry: in a code block it mentions nobody and loads no image.
        content = {"title": title, "body": f"```\n{body}```\n", "head": branch, "base": self._settings.branch}
        try:
            response = self._client.post("/pulls", json=content)
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
        return str(pull_request["html_url"])
