"""Rules about an account's quotas: the requested resource is counted together with the existing ones."""

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
    counted_in  the scope of the quota, such as the region: only resources in the same scope are counted
    measure     how much a resource counts; 0 if the quota does not apply to it
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
    """A scope that consists of the values of these inputs, such as a region or a cluster."""
    return lambda inputs, _: tuple(inputs.get(name) for name in names)


def of_unprepared_account(rule: Rule) -> Rule:
    """A rule that applies only in an account without the preparation that preflight requires."""

    def conditional(request: ResourceRequest) -> str | None:
        return rule(request) if request.circumstances.account is Account.UNPREPARED else None

    return conditional
