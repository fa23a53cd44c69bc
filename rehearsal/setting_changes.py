"""Compares a stack's settings with those that its rehearsal was last brought up with, before anything starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kernel.deployed_settings import find_deployed_settings
from rehearsal.console import UserError, info
from rehearsal.session import Rehearsal


def check(rehearsal: Rehearsal, confirmed: Collection[str]) -> str:
    """Say what the settings would change, and return it, one line each; empty for nothing.

    Raises UserError when that cannot be, or has to be confirmed first.
    """
    compare = rehearsal.project.settings_comparison()
    resources = rehearsal.read_resources() if compare else []
    if compare is None or not resources:
        return ""
    standing = find_deployed_settings(resources)
    if standing is None:
        info(f"{rehearsal.stack} has no finished deployment that says what its settings were: they are not compared.")
        return ""
    file = rehearsal.settings_in_force()
    try:
        changes = compare(file, rehearsal.stack, standing, confirmed)
    except ValueError as error:
        raise UserError(str(error)) from None
    if changes:
        info(f"{rehearsal.stack} stands, and its settings change:\n{changes}")
    return changes


def explain_failure(rehearsal: Rehearsal, changes: str, refusals: Mapping[str, str]) -> str:
    """Which settings may be the cause of what a cloud has refused; empty where none may.

    changes   what `check` has returned
    refusals  the cloud's words by the logical name of the resource
    """
    file = rehearsal.project.shorten(rehearsal.project.stack_file(rehearsal.stack))
    if changes:
        return (
            f"Since the last deployment that succeeded, these settings in {file} have changed:\n{changes}\n"
            "Where one of them is the cause, set it back to its old value, or take another way to the new one."
        )
    find_causes = rehearsal.project.settings_causes()
    causes = find_causes(rehearsal.settings_in_force(), rehearsal.stack, refusals) if find_causes and refusals else ""
    return causes and (
        f"What was refused depends on these settings in {file}:\n{causes}\n"
        "Where one of them is the cause, give it another value: docs/settings.md says which it can have."
    )
