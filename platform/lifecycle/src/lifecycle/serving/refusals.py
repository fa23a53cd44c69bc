"""Answers that are not a prediction: a status, a sentence for people, and when to come back."""

from __future__ import annotations


class Refusal(Exception):
    """A request that gets no prediction.

    status       the HTTP status
    message      what is wrong and which rule it breaks; names features, never shows their values
    reason       one word for the metrics
    retry_after  seconds after which trying again may help; 0 where it will not
    """

    def __init__(self, status: int, message: str, reason: str, retry_after: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.reason = reason
        self.retry_after = retry_after


def invalid(message: str) -> Refusal:
    return Refusal(400, message, "invalid")


def unknown(message: str) -> Refusal:
    return Refusal(404, message, "unknown")


def too_large(message: str) -> Refusal:
    return Refusal(413, message, "too-large")
