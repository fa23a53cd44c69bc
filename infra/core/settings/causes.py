"""Which settings may be the cause of a cloud error.

A cloud error quotes values and names, but seldom the setting that they come from. The setting is found by what they
have in common: the value itself, a block within a setting's block, or, failing those, the settings of the part that the
resource belongs to, which its logical name tells (`cluster-user`, `database`). An error of a rehearsal may name the
setting itself.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.core.settings.catalogue import NAMESPACE, list_settings
from infra.core.settings.stack_settings import Settings

# The settings that decide size and location of each part of a stack, keyed by words of logical names.
_PARTS: Mapping[frozenset[str], tuple[str, ...]] = {
    frozenset({"cluster", "system"}): ("cluster.systemPool.size", "cluster.systemPool.minimum", "location"),
    frozenset({"cluster", "user"}): ("cluster.userPool.size", "cluster.userPool.minimum", "location"),
    frozenset({"cluster", "gpu"}): ("cluster.gpuPool.size", "cluster.gpuPool.maximum", "location"),
    frozenset({"cluster"}): ("cluster.kubernetesVersion", "cluster.systemPool.size", "location"),
    frozenset({"database"}): ("database.size", "database.storageGb", "resilience.multiZoneDatabase", "location"),
    frozenset({"training"}): ("training.size", "training.maximumNodes", "location"),
    frozenset({"network"}): ("network.cidr", "network.hub", "location"),
    frozenset({"experiments"}): (
        *(
            "resilience.multiZoneExperiments",
            "resilience.provisionedThroughput",
            "experiments.retentionDays",
            "location",
        ),
    ),
    # Copies of secrets that people store: a resource that waits for one does not tell which setting names it.
    frozenset({"gitops", "token"}): ("lifecycle.gitToken",),
    frozenset({"dispatch", "token"}): ("lifecycle.dispatchToken",),
    frozenset({"notifications"}): ("lifecycle.notifications",),
    frozenset({"error", "tracking"}): ("telemetry.errorTracking",),
    frozenset({"gitops", "repository"}): ("gitops.tokenSecret",),
    frozenset({"sso", "client"}): ("sso.clientSecret",),
    frozenset({"alert", "receivers"}): (
        "alerting.slack",
        "alerting.teams",
        "alerting.pagerduty",
        "alerting.heartbeat",
        "alerting.smtpPassword",
    ),
    frozenset({"budget"}): ("cost.monthlyBudget", "telemetry.alertEmail"),
    frozenset({"observability"}): ("telemetry.retentionDays", "telemetry.alertEmail"),
}
# Part of names and tags everywhere, and therefore a cause only if the error is about a name.
_IN_NAMES = ("organization",)
_IN_TAGS = ("environment", "owner", "costCenter")
_ABOUT_NAMES = r"already (exists|taken|in use|owned)|AlreadyExists|AlreadyTaken|AlreadyInUse|not available|[Rr]eserved"


def find_causes(settings: Settings, name: str, message: str) -> list[str]:
    """The settings that an error of the resource with this logical name is probably about; the likeliest first."""
    values = dict(_list_values(settings))
    if named := [path for path in values if re.search(rf"{NAMESPACE}:{re.escape(path)}\b(?!\.\w)", message)]:
        return named
    quoted = [path for path, value in values.items() if _is_quoted(path, value, name, message)]
    if quoted:
        best = max(_count_common_words(path, name) for path in quoted)
        return [path for path in quoted if _count_common_words(path, name) == best]
    if re.search(_ABOUT_NAMES, message):
        return list(_IN_NAMES)
    words = _split_words(name)
    return next((list(paths) for part, paths in _PARTS.items() if part <= words), [])


def _list_values(settings: Settings) -> Iterator[tuple[str, Any]]:
    content = settings.dump()
    for path in list_settings():
        value: Any = content
        for part in path.split("."):
            value = value[part]
        yield path, value


def _is_quoted(path: str, value: Any, name: str, message: str) -> bool:
    """Whether a message contains a setting's value."""
    if isinstance(value, list):
        return any(_is_quoted(path, item, name, message) for item in value)
    if path in (*_IN_NAMES, *_IN_TAGS, "cloud") or isinstance(value, bool | dict) or value == "":
        return False
    if isinstance(value, int):  # A message has many numbers: this one has to be near words of the setting's path.
        return _has_token(str(value), message) and _count_common_words(path, f"{name} {message}") > 1
    return _has_token(value, message) or _has_block_within(value, message)


def _has_token(text: str, message: str) -> bool:
    return bool(re.search(rf"(?<![\w./-]){re.escape(text)}(?![\w/-]|\.\d)", message))


def _has_block_within(value: str, message: str) -> bool:
    try:
        block = ipaddress.IPv4Network(value)
    except ValueError:
        return False
    return any(ipaddress.IPv4Network(other).subnet_of(block) for other in _find_blocks(message))


def _find_blocks(message: str) -> Iterator[str]:
    for text in re.findall(r"\d+(?:\.\d+){3}/\d+", message):
        try:
            yield str(ipaddress.IPv4Network(text))
        except ValueError:
            continue


def _count_common_words(path: str, text: str) -> int:
    return len(_split_words(path) & _split_words(text))


def _split_words(text: str) -> set[str]:
    """The words of `cluster-user` and `cluster.userPool.minimum`, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", text)}
