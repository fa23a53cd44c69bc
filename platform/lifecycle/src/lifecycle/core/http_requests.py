"""What all servers derive from a request: its ID, a pseudonym of its user, and the status if the client is gone.

The model server and the experiments' router have to agree: an outcome is joined to its prediction by the request's ID,
and to its user by the pseudonym.
"""

from __future__ import annotations

import hmac
import random
import re
from collections.abc import Iterable

REQUEST_ID = r"[\w.:/+=@-]{1,128}"
"""A client's request ID must match this as a whole."""

CLIENT_CLOSED_REQUEST = 499
"""nginx's status for a client that disconnected before its response."""

_REQUEST_ID = re.compile(REQUEST_ID.encode())


def choose_request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's ID for its request, if it is well-formed; else a new one. Names of headers are in lower case."""
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return f"{random.getrandbits(128):032x}"


def pseudonym(key: bytes, user: str) -> str:
    """What is stored instead of a user's ID: HMAC-SHA-256."""
    return hmac.digest(key, user.encode(), "sha256").hex()
