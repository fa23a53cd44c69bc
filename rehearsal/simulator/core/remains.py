"""What exists undeclared: names that stay taken after a deletion, and resources that services create themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rehearsal.simulator.core.circumstances import Account
from rehearsal.simulator.core.resource_model import ResourceRequest, Template

FOREVER = timedelta(days=36_500)


@dataclass(frozen=True)
class Tombstone:
    """The name of a resource, which stays taken after the resource was deleted.

    name             the name, unique within the type
    duration         how long it stays taken; None if it is free immediately
    message          the cloud's error while it is taken, a template that the request fills
    is_left_by_deletion  whether it names something that the deletion creates, such as a final snapshot: then the
                     deletion is refused while it is taken, not the creation
    """

    name: Template
    duration: Callable[[ResourceRequest], timedelta | None]
    message: str
    is_left_by_deletion: bool = False


@dataclass(frozen=True)
class ByProduct:
    """An undeclared resource that a service itself creates for another resource, and that outlives it.

    Nothing is created if a resource with the ID exists.
    """

    type: str
    id: Template
    inputs: Callable[[ResourceRequest], Mapping[str, Any]]
    outputs: Mapping[str, Template] = field(default_factory=dict)
    is_created: Callable[[ResourceRequest], bool] = lambda _: True


def is_account_used(request: ResourceRequest) -> bool:
    """Whether the account has traces of other deployments."""
    return request.circumstances.account is Account.USED
