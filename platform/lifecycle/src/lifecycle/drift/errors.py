"""The error of an analysis."""

from __future__ import annotations

from lifecycle.core import LifecycleError


class InputError(LifecycleError):
    """The input is missing, broken, or cannot be compared with the reference. It never means that there is no drift."""
