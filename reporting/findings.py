"""What a report says: everything that is known of a stack before anything of it is formatted."""

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
    commit           of the working tree, `+` at its end where it has changes; empty without git
    base             what it is compared with; None where no base was named
    not_compared     why there is a base and no comparison; empty otherwise
    preview          of the working tree
    refusals         what engine and clouds refused, in their words, by logical name; none where the preview succeeded
    policies         what the policies found in the preview
    setting_changes  what the changed settings do, a line each
    refused_settings why the changed settings cannot be deployed; empty where they can
    data_losses      changes that lose data, with what is lost
    resources        what the stack consists of, as in the engine's state
    cost             as `make cost FORMAT=json`; None where it was not estimated
    duration         as `make duration FORMAT=json`, of a deployment from nothing; None where it was not estimated
    change_duration  the same of what the change creates; None where it creates nothing
    not_rehearsed    what nobody has checked, a sentence each
    record           of the last `make rehearse` of the stack; None without one
    is_previewed     whether a preview was made: not where the settings are wrong
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
