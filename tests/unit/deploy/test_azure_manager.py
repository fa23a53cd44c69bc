"""Requests to Azure Resource Manager, with a local server: pages, and its messages when it refuses a request."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.azure_manager import ManagerError, ResourceManager
from tests.support.azure_manager_server import SUBSCRIPTION, error, serve_manager


def test_all_pages_of_an_answer_are_read() -> None:
    answers: dict[str, Any] = {"/more": {"value": [3]}}
    with serve_manager(answers) as url:
        following = f"{url}/subscriptions/{SUBSCRIPTION}/more?$skiptoken=x"
        answers["/sizes"] = {"value": [1, 2], "nextLink": following}
        assert ResourceManager(url, SUBSCRIPTION, "token").get("/sizes", "1")["value"] == [1, 2, 3]


def test_a_refusal_has_its_code_and_words() -> None:
    refusal = error("AuthorizationFailed", "The client may not.")
    with (
        serve_manager({"/sizes": refusal}) as url,
        pytest.raises(ManagerError, match=r"^AuthorizationFailed: The client may not$"),
    ):
        ResourceManager(url, SUBSCRIPTION, "token").get("/sizes", "1")


def test_an_unreachable_manager_is_named() -> None:
    with serve_manager({}) as url:
        pass
    with pytest.raises(ManagerError, match=f"^Unreachable: {url}/subscriptions/{SUBSCRIPTION}/sizes: ConnectionError"):
        ResourceManager(url, SUBSCRIPTION, "token").get("/sizes", "1")


def test_the_token_is_not_shown() -> None:
    assert "hush" not in repr(ResourceManager("https://x", SUBSCRIPTION, "hush"))
