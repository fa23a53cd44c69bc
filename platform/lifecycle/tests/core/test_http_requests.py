"""The pseudonym that is stored of a user. Request IDs are proven by the tests of the servers that choose them."""

from __future__ import annotations

from lifecycle.core.http_requests import pseudonym


def test_a_pseudonym_depends_on_the_key_and_does_not_contain_the_user() -> None:
    assert pseudonym(b"one", "Zoë") != pseudonym(b"another", "Zoë")
    assert len(pseudonym(b"one", "Zoë" * 1000)) == 64
