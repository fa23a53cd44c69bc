"""The interface of a simulated provider."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from rehearsal.simulator.core.resource_model import ResourceModel, ResourceRequest, StateReader

ProviderFunction = Callable[[Mapping[str, Any], StateReader, Mapping[str, str]], Mapping[str, Any]]
"""A function such as `aws:index/getCallerIdentity`: (arguments, state, account) -> result."""


class Cloud(Protocol):
    """A simulated provider: its account, resource types and functions."""

    @property
    def name(self) -> str:
        """The Pulumi package: `aws`, `azure-native`, `kubernetes`, `random`."""

    @property
    def account(self) -> Mapping[str, str]:
        """Identifiers of the simulated account: its number, subscription, tenant and the like."""

    @property
    def functions(self) -> Mapping[str, ProviderFunction]:
        """The provider's functions, keyed by token."""

    @property
    def secret_functions(self) -> Collection[str]:
        """Tokens of functions whose whole result is secret."""

    def configure(self, variables: Mapping[str, Any]) -> Mapping[str, str]:
        """Additions to `account` from the provider's configuration; raises CloudError if the provider refuses it."""

    def get_model(self, type_: str) -> ResourceModel | None:
        """The model of a resource type, or None if it has no model."""

    def find_missing_reference(self, request: ResourceRequest, value: str) -> str | None:
        """The cloud's error if the text `value` refers to a resource of this cloud that does not exist."""
