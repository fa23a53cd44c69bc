"""The permissions of a rule of a Role or ClusterRole, as the API server's RBAC authorizer evaluates it.

Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/ and ResourceMatches in
https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/rbac/v1/evaluation_helpers.go
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kernel.paths import look_up
from kernel.values import ABSENT, UNKNOWN, Truth, all_hold, any_holds, as_list
from policies.engine.expectations import any_matches, check_each, fail_if_all
from policies.engine.findings import Findings, Props

# No API has such a verb, group or resource, so a rule that covers it covers everything.
_SOME_NAME = "groundwork7probe"


def allows(rule: Props, verbs: Iterable[str], group: str, resource: str) -> Truth:
    """Whether a rule allows one of the verbs on a resource such as `pods/exec` of a group; `""` is the core group."""
    return all_hold(
        (
            any_holds(_covers(rule, "verbs", verb) for verb in verbs),
            _covers(rule, "apiGroups", group),
            any_matches(as_list(look_up(rule, "resources")), lambda pattern: _matches_resource(pattern, resource)),
        )
    )


def allows_any(rule: Props, verbs: Iterable[str], *resources: tuple[str, str]) -> Truth:
    """Whether a rule allows one of the verbs on one of the resources, which are pairs of group and name."""
    wanted = tuple(verbs)
    return any_holds(allows(rule, wanted, group, resource) for group, resource in resources)


def allows_everything(rule: Props) -> Truth:
    """Whether a rule allows every verb on every resource of some group."""
    return all_hold(
        (
            _covers(rule, "verbs", _SOME_NAME),
            any_matches(as_list(look_up(rule, "resources")), lambda pattern: _matches_resource(pattern, _SOME_NAME)),
        )
    )


def allows_every_verb(rule: Props) -> Truth:
    """Whether a rule allows every verb on its resources."""
    return all_hold((_covers(rule, "verbs", _SOME_NAME), look_up(rule, "resources") not in (ABSENT, [])))


def is_unnamed(rule: Props) -> bool:
    """Whether a rule is not limited to objects of certain names."""
    names = as_list(look_up(rule, "resourceNames"))
    return not any(name is UNKNOWN or (isinstance(name, str) and name) for name in names)


def but_not_everything(held: Truth, rule: Props) -> Truth:
    """`held`, but False for a rule that allows everything, which only k8s-rbac-wildcard reports."""
    everything = allows_everything(rule)
    return all_hold((held, UNKNOWN if everything is UNKNOWN else not everything))


def fail_rules(props: Props, condition: Callable[[Props], Truth], problem: str) -> Findings:
    """Report the problem for every rule of a role for which the condition holds."""

    def check(where: str, rule: Any) -> Findings:
        yield from fail_if_all(where, [condition(rule)], problem)

    yield from check_each(props, "rules[*]", check)


def _covers(rule: Props, element: str, wanted: str) -> Truth:
    return any_matches(as_list(look_up(rule, element)), lambda value: value in ("*", wanted))


def _matches_resource(pattern: Any, resource: str) -> bool:
    """Whether a rule's resource, such as `*` or `*/exec`, covers a resource.

    The authorizer ignores `pods/*`. Its author means every subresource, so this function reads it like that.
    """
    name, _, subresource = resource.partition("/")
    patterns = {"*", resource} | ({f"*/{subresource}", f"{name}/*", "*/*"} if subresource else set())
    return isinstance(pattern, str) and pattern in patterns
