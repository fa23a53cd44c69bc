"""The error that the commands report to people."""

from __future__ import annotations


class DeliveryError(Exception):
    """Something that a person has to fix; the message says what and how. Shown without a traceback."""
