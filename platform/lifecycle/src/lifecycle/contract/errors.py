"""What goes wrong in a model's life, as one message for a person: what, which value, which rule, what to do."""

from __future__ import annotations


class LifecycleError(Exception):
    """Something a person has to mend. Command lines show the message without a traceback."""


class ContractError(LifecycleError):
    """A model that the serving environment cannot, or must not, load. Trying again does not help."""


class UnreachableError(LifecycleError):
    """A service that does not answer. Trying again later may help."""
