"""The resources in an engine's state that it refuses to delete, because the program protects them.

https://www.pulumi.com/docs/iac/concepts/resources/options/protect/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def explain_protection(resources: Sequence[Mapping[str, Any]], stack: str, remedy: str) -> str:
    """Why a stack with these resources cannot be destroyed; empty if the program protects none of them."""
    names = [_describe(str(each["urn"])) for each in resources if each.get("protect")]
    if not names:
        return ""
    return (
        f"{stack} is not destroyed: the program protects {len(names)} of its resources from deletion, which is checked "
        f"before anything is deleted: {', '.join(names)}.\nRemedy: {remedy}"
    )


def _describe(urn: str) -> str:
    """`Server database` of `urn:pulumi:stack::project::parent$azure-native:dbforpostgresql:Server::database`."""
    *_, type_, name = urn.split("::")
    return f"{type_.rpartition(':')[2]} {name}"
