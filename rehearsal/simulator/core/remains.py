"""What is there without being declared: names that stay taken after a deletion, and what services make themselves."""

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
    """The name of a resource that stays taken after the resource was deleted.

    name             the name, unique among those of the type
    duration         how long; None where the name is free at once
    message          the cloud's refusal while it is taken, a template of the request
    is_left_by_deletion  whether it is of something that a deletion creates, such as a last snapshot: then the deletion
                     is refused while it is taken, not the creation
    """

    name: Template
    duration: Callable[[ResourceRequest], timedelta | None]
    message: str
    is_left_by_deletion: bool = False


@dataclass(frozen=True)
class ByProduct:
    """A resource that a service makes itself, which nobody declares: it stays when what it was made for is deleted.

    Where one with the ID exists, nothing is made.
    """

    type: str
    id: Template
    inputs: Callable[[ResourceRequest], Mapping[str, Any]]
    outputs: Mapping[str, Template] = field(default_factory=dict)
    is_made: Callable[[ResourceRequest], bool] = lambda _: True


def is_account_used(request: ResourceRequest) -> bool:
    """Whether the account has traces of other deployments."""
    return request.circumstances.account is Account.USED
