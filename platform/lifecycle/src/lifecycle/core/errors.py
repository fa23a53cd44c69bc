"""Errors for people. Each is one message that names what failed, the value, the rule and the remedy."""

from __future__ import annotations

import errno

_PASSING = frozenset(
    (errno.EAGAIN, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC)
)


class LifecycleError(Exception):
    """A problem that a person has to fix. Command lines print the message without a traceback."""


class SettingsError(LifecycleError):
    """An environment variable is missing or invalid."""


class RegistryError(LifecycleError):
    """MLflow rejected a call."""


class UnreachableError(RegistryError):
    """MLflow does not answer. Trying again later may help."""


class ArtifactError(LifecycleError):
    """An artifact is missing or unreadable. Trying again does not help."""


def is_transient(error: BaseException) -> bool:
    """Whether trying again later may help: a server does not answer, or a machine has no memory or disk left."""
    if isinstance(error, OSError):
        return isinstance(error, ConnectionError | TimeoutError) or error.errno in _PASSING
    return isinstance(error, UnreachableError | MemoryError)
