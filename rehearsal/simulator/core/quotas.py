"""Rules about how many of something an account may have: what exists is counted, and with it what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kernel.service_quotas import ServiceQuota
from rehearsal.simulator.core.circumstances import Account
from rehearsal.simulator.core.resource_model import ResourceRequest, Rule, StateReader

Inputs = Mapping[str, Any]


def stay_within(
    quota: ServiceQuota,
    message: str,
    *,
    counted_in: Callable[[Inputs, StateReader], Any] = lambda _inputs, _state: None,
    measure: Callable[[Inputs], int] = lambda _: 1,
) -> Rule:
    """All resources of the request's type together stay within a quota.

    message     with {limit}, {used} by others, {requested} by this one, and {total}
    counted_in  what the quota is of, such as the region: resources are counted with those of the same one
    measure     how much a resource counts; 0 where the quota does not concern it
    """

    def rule(request: ResourceRequest) -> str | None:
        requested, place = measure(request.inputs), counted_in(request.inputs, request.state)
        if not requested:
            return None
        others = (each for each in request.state.all(request.type) if each.id != request.id)
        used = sum(measure(each.inputs) for each in others if counted_in(each.inputs, request.state) == place)
        if used + requested <= quota.limit:
            return None
        return message.format(limit=quota.limit, used=used, requested=requested, total=used + requested)

    return rule


def by(*names: str) -> Callable[[Inputs, StateReader], Any]:
    """Counted in what the inputs of these names are, such as a region or a cluster."""
    return lambda inputs, _: tuple(inputs.get(name) for name in names)


def of_unprepared_account(rule: Rule) -> Rule:
    """A rule of what preflight demands to be prepared: it holds where nobody did."""

    def conditional(request: ResourceRequest) -> str | None:
        return rule(request) if request.circumstances.account is Account.UNPREPARED else None

    return conditional
