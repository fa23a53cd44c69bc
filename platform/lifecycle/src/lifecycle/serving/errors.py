"""Errors that become responses without a prediction: a status, a message, and when to retry."""

from __future__ import annotations


class RequestError(Exception):
    """A request that gets no prediction.

    status       the HTTP status
    message      what is wrong and which rule it breaks; names features, never shows their values
    reason       one word for the metrics
    retry_after  seconds after which a retry may succeed; 0 if it will not
    """

    def __init__(self, status: int, message: str, reason: str, retry_after: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.reason = reason
        self.retry_after = retry_after


def invalid_input(message: str) -> RequestError:
    return RequestError(400, message, "invalid")


def not_found(message: str) -> RequestError:
    return RequestError(404, message, "unknown")


def payload_too_large(message: str) -> RequestError:
    return RequestError(413, message, "too-large")
