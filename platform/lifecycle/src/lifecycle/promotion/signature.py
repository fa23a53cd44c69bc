"""Whether a delivery is MLflow's: its signature, and its time.

MLflow signs `<delivery id>.<timestamp>.<body>` with HMAC-SHA256 under the webhook's secret and sends `v1,<base64>`:
https://github.com/mlflow/mlflow/blob/v3.17.2/mlflow/webhooks/delivery.py (_generate_hmac_signature)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping

DELIVERY = "X-MLflow-Delivery-Id"
TIMESTAMP = "X-MLflow-Timestamp"
SIGNATURE = "X-MLflow-Signature"

# It becomes a key in the inbox, a line in a commit, and perhaps the name of a branch.
_DELIVERY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")
_SECONDS = re.compile(r"[0-9]{1,12}")


class UntrustedError(Exception):
    """The delivery is not MLflow's, or too old; the message says which, and no secret."""


def sign(secret: str, delivery: str, timestamp: str, body: bytes) -> str:
    """The signature header for a delivery."""
    digest = hmac.new(secret.encode(), f"{delivery}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now: float, window: float) -> str:
    """The delivery's ID. Raises UntrustedError.

    now     seconds since 1970
    window  seconds by which the delivery's time may be off
    """
    delivery, timestamp, signature = (headers.get(name, "") for name in (DELIVERY, TIMESTAMP, SIGNATURE))
    if not signature:
        raise UntrustedError(f"there is no {SIGNATURE}: give the webhook in MLflow the receiver's secret")
    if not _DELIVERY.fullmatch(delivery) or not _SECONDS.fullmatch(timestamp):
        raise UntrustedError(f"{DELIVERY} or {TIMESTAMP} is missing or malformed")
    if not hmac.compare_digest(sign(secret, delivery, timestamp, body).encode(), signature.encode()):
        raise UntrustedError("the signature is not that of the receiver's secret over this delivery")
    if abs(now - int(timestamp)) > window:
        raise UntrustedError(f"{TIMESTAMP} is more than {window:g} s off; a delivery is taken while it is fresh")
    return delivery
