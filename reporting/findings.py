"""The findings of a report: everything that is known about a stack, before anything is formatted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reporting.base import Base
from reporting.changes import Preview, ResourceChange
from reporting.policy_results import PolicyResults


@dataclass(frozen=True)
class Findings:
    """
    stack            name of the stack
    commit           commit of the working tree, with `+` at its end if it has changes; empty without git
    preview          preview of the working tree
    policies         results of the policies in the preview
    base             what it is compared with; None if no base was named
    not_compared     why there is a base but no comparison; empty otherwise
    refusals         messages of the engine and the clouds, keyed by logical name; empty if the preview succeeded
    setting_changes  what the changed settings do, one line each
    refused_settings why the changed settings cannot be deployed; empty if they can
    data_losses      changes that lose data, with what is lost
    resources        the resources of the stack, as in the engine's state
    cost             as in `make cost FORMAT=json`; None if it was not estimated
    duration         as in `make duration FORMAT=json`, for a new stack; None if it was not estimated
    change_duration  the duration of what the change creates; None if it creates nothing
    not_rehearsed    what was not checked, one sentence each
    record           record of the last `make rehearse` of the stack; None without one
    is_previewed     whether there was a preview; there is none if the settings are invalid
    """

    stack: str
    commit: str
    preview: Preview
    policies: PolicyResults
    base: Base | None = None
    not_compared: str = ""
    refusals: Mapping[str, str] = field(default_factory=dict)
    setting_changes: Sequence[str] = ()
    refused_settings: str = ""
    data_losses: Sequence[tuple[ResourceChange, str]] = ()
    resources: Sequence[Mapping[str, Any]] = ()
    cost: Mapping[str, Any] | None = None
    duration: Mapping[str, Any] | None = None
    change_duration: Mapping[str, Any] | None = None
    not_rehearsed: Sequence[str] = ()
    record: Mapping[str, Any] | None = None
    is_previewed: bool = True

    @property
    def is_compared(self) -> bool:
        return self.base is not None and not self.not_compared
