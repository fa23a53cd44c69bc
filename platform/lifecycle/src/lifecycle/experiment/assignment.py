"""Which variant a user gets: a hash of experiment and user, so all routers decide alike without querying a store.

The hash is SHA-256 of `<experiment>/<user>` in UTF-8; its first 7 bytes, as a big-endian integer modulo 10,000, are the
user's bucket. Users in a bucket below the challenger's share, in hundredths of a percent, get the challenger. So

- a larger share only adds users to the challenger, a smaller one only removes some;
- experiments are independent: the name is part of the hashed text, and names contain no slash;
- any language can recompute it, as 7 bytes fit into a signed integer of 64 bits. In Spark:
  `cast(conv(substr(sha2(concat(experiment, '/', user), 256), 1, 14), 16, 10) as bigint) % 10000`
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass

from lifecycle.core import CHALLENGER, CHAMPION
from lifecycle.gitops.experiments import BUCKETS

MAX_USER_BYTES = 1024  # longer ones are usually tokens, not IDs

MISSING, EMPTY, TOO_LONG, INVALID = "missing", "empty", "too-long", "invalid"


class UserIdError(ValueError):
    """The user cannot be identified; `reason` is one word for metrics."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Decision:
    """The variant of a user, and the bucket and the challenger's share that led to it."""

    variant: str
    bucket: int
    share: int


def decide(experiment: str, user: str, challenger_share: int) -> Decision:
    """The variant of a user; `challenger_share` is in hundredths of a percent, so it is a number of buckets."""
    bucket = find_bucket(experiment, user)
    return Decision(CHALLENGER if bucket < challenger_share else CHAMPION, bucket, challenger_share)


def find_bucket(experiment: str, user: str) -> int:
    """The user's bucket, 0 to 9999."""
    digest = hashlib.sha256(f"{experiment}/{user}".encode()).digest()
    return int.from_bytes(digest[:7], "big") % BUCKETS


def parse_user_id(value: bytes | None) -> str:
    """The user's ID from the bytes of a header.

    UTF-8 without white space around it, in Unicode's normal form C, so that a name typed on two systems is one user.
    Raises UserIdError if it is missing, empty, longer than MAX_USER_BYTES, or not UTF-8.
    """
    if value is None:
        raise UserIdError(MISSING, "the header with the user's ID is missing")
    if len(value) > MAX_USER_BYTES:
        raise UserIdError(TOO_LONG, f"the user's ID has {len(value)} bytes; at most {MAX_USER_BYTES} are allowed")
    try:
        text = unicodedata.normalize("NFC", value.decode()).strip()
    except UnicodeDecodeError:
        raise UserIdError(INVALID, "the user's ID is not UTF-8") from None
    if not text:
        raise UserIdError(EMPTY, "the user's ID is empty")
    return text
