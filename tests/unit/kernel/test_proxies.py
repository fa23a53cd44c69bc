"""Loopback traffic does not go through the proxies that the environment sets.

Proves which variables are set. That engine and providers reach each other behind a proxy is proven by tests/engine,
whose rehearsals all have a proxy configured that does not exist.
"""

from __future__ import annotations

import pytest

from kernel.proxies import loopback_exemptions


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "localhost,127.0.0.1,::1"),
        ({"no_proxy": "example.com"}, "example.com,localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "a.example, localhost", "no_proxy": "b.example"}, "b.example,a.example,localhost,127.0.0.1,::1"),
    ],
)
def test_loopback_is_added_to_existing_exemptions(environment: dict[str, str], expected: str) -> None:
    assert loopback_exemptions(environment) == {"no_proxy": expected, "NO_PROXY": expected}
