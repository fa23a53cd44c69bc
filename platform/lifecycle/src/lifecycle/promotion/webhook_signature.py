"""Verifies that a delivery comes from MLflow: its signature, and its timestamp.

MLflow signs `<delivery id>.<timestamp>.<body>` with HMAC-SHA256 under the webhook's secret and sends `v1,<base64>`:
https://github.com/mlflow/mlflow/blob/v3.17.2/mlflow/webhooks/delivery.py (_generate_hmac_signature)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping

DELIVERY_HEADER = "X-MLflow-Delivery-Id"
TIMESTAMP_HEADER = "X-MLflow-Timestamp"
SIGNATURE_HEADER = "X-MLflow-Signature"

# The ID becomes a key in the inbox, a line in a commit, and perhaps part of a branch's name.
_DELIVERY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class WebhookVerificationError(Exception):
    """The delivery is not from MLflow, or too old; the message says which, and contains no secret."""


def sign(secret: str, delivery: str, timestamp: str, body: bytes) -> str:
    """The signature header for a delivery."""
    digest = hmac.new(secret.encode(), f"{delivery}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now: float, tolerance: float) -> str:
    """Verify a delivery; returns its ID. Raises WebhookVerificationError.

    now        seconds since 1970
    tolerance  seconds by which the delivery's timestamp may differ from `now`
    """
    names = (DELIVERY_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)
    delivery, timestamp, signature = (headers.get(name, "") for name in names)
    if not signature:
        raise WebhookVerificationError(f"{SIGNATURE_HEADER} is missing: set the receiver's secret on MLflow's webhook")
    if not _DELIVERY.fullmatch(delivery) or not _TIMESTAMP.fullmatch(timestamp):
        raise WebhookVerificationError(f"{DELIVERY_HEADER} or {TIMESTAMP_HEADER} is missing or malformed")
    if not hmac.compare_digest(sign(secret, delivery, timestamp, body).encode(), signature.encode()):
        raise WebhookVerificationError("the signature does not match the receiver's secret and this delivery")
    if abs(now - int(timestamp)) > tolerance:
        raise WebhookVerificationError(
            f"{TIMESTAMP_HEADER} differs from the receiver's time by more than {tolerance:g} s"
        )
    return delivery
