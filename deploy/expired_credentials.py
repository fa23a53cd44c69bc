"""Explains a run whose credentials expired in the middle: what was done, what state is left, how to continue."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernel.engine_events import read_events

# The messages of STS and the AWS APIs, Microsoft's identity platform, Azure Resource Manager and Kubernetes.
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
# https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_EXPIRED = re.compile(
    r"ExpiredToken|security token included in the request is expired|RequestExpired|AADSTS700024|AADSTS70043|"
    r"AADSTS700082|ExpiredAuthenticationToken|InvalidAuthenticationToken.*expired|access token (has )?expired|"
    r"the server has asked for the client to provide credentials|You must be logged in to the server",
    re.IGNORECASE | re.DOTALL,
)
_VERBS = {
    "create": "created",
    "create-replacement": "created",
    "update": "updated",
    "delete": "deleted",
    "delete-replaced": "deleted",
}
_NAMES = 5  # of resources in one line


@dataclass
class _Progress:
    """How far a run got.

    done        numbers of finished operations, keyed by verb
    begun       operations that the log does not show as finished, keyed by URN
    is_expired  whether the credentials expired
    """

    done: Counter[str] = field(default_factory=Counter)
    begun: dict[str, str] = field(default_factory=dict)
    is_expired: bool = False


def explain(action: str, stack: str, log: Path) -> str:
    """The message for a failed run, from its events; empty if no credentials had expired."""
    progress = _follow(read_events(log))
    if not progress.is_expired:
        return ""
    if action in ("preview", "drift"):
        return (
            "The credentials expired during the run, which changes nothing. Sign in again, or request a longer "
            f"session, and repeat the run: `make {action} STACK={stack}`."
        )
    done = ", ".join(f"{count} {verb}" for verb, count in sorted(progress.done.items())) or "nothing was changed"
    refresh = [
        "             Resources in progress may exist in the cloud without being in the state:",
        f"             `pulumi refresh --stack {stack}` reads them from the cloud.",
    ]
    return "\n".join(
        [
            f"The credentials expired while {stack} was changed.",
            f"  done       {done}; the state in the backend records it",
            f"  under way  {_list(progress.begun) or 'nothing'}",
            f"  continue   sign in again, then `make {action} STACK={stack}`, which does what is left",
            *(refresh if progress.begun else ()),
            f"  locked     `pulumi cancel --stack {stack}` unlocks it; make sure first that no other run is active",
            "  prevent    use a session that outlasts the deployment: on AWS role-duration-seconds, within the role's",
            "             maximum; on Azure a login that renews itself, see docs/deploying.md",
        ]
    )


def _follow(events: Iterable[Mapping[str, Any]]) -> _Progress:
    progress = _Progress()
    for event in events:
        for name in ("resourcePreEvent", "resOutputsEvent", "resOpFailedEvent"):
            # An update previews first, and the log has those events too.
            if name in event and not event[name].get("planning"):
                _note(progress, name, event[name]["metadata"])
        diagnostic = event.get("diagnosticEvent", {})
        if diagnostic.get("severity") == "error" and _EXPIRED.search(diagnostic.get("message", "")):
            progress.is_expired = True
    return progress


def _note(progress: _Progress, name: str, metadata: Mapping[str, Any]) -> None:
    urn, operation = metadata["urn"], metadata["op"]
    is_custom = ((metadata.get("new") or metadata.get("old")) or {}).get("custom")
    if operation not in _VERBS or not is_custom or "::pulumi:" in urn:
        return
    if name == "resourcePreEvent":
        progress.begun[urn] = operation
        return
    progress.begun.pop(urn, None)
    if name == "resOutputsEvent":
        progress.done[_VERBS[operation]] += 1


def _list(begun: Mapping[str, str]) -> str:
    names = sorted(urn.rsplit("::", 1)[-1] for urn in begun)
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more
