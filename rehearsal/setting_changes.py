"""Compares a stack's settings with those of the last deployment of its rehearsal, before anything starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kernel.deployed_settings import find_deployed_settings
from rehearsal.console import UserError, info
from rehearsal.session import Rehearsal


def check(rehearsal: Rehearsal, confirmed: Collection[str]) -> str:
    """Print and return the changes of settings, one line each; empty if there are none.

    Raises UserError if a change is not possible, or has to be confirmed first.
    """
    compare = rehearsal.project.settings_comparison()
    resources = rehearsal.read_resources() if compare else []
    if compare is None or not resources:
        return ""
    deployed = find_deployed_settings(resources)
    if deployed is None:
        info(f"{rehearsal.stack} has no finished deployment that records its settings, so they are not compared.")
        return ""
    file = rehearsal.settings_in_force()
    try:
        changes = compare(file, rehearsal.stack, deployed, confirmed)
    except ValueError as error:
        raise UserError(str(error)) from None
    if changes:
        info(f"{rehearsal.stack} is already deployed, and its settings change:\n{changes}")
    return changes


def explain_failure(rehearsal: Rehearsal, changes: str, refusals: Mapping[str, str]) -> str:
    """The settings that may be the cause of a cloud's refusals; empty if there are none.

    changes   the result of `check`
    refusals  the cloud's messages, keyed by logical name of the resource
    """
    file = rehearsal.project.shorten(rehearsal.project.stack_file(rehearsal.stack))
    if changes:
        return (
            f"Since the last deployment that succeeded, these settings in {file} have changed:\n{changes}\n"
            "If one of them is the cause, set it back to its old value, or change it in steps that the cloud allows."
        )
    find_causes = rehearsal.project.settings_causes()
    causes = find_causes(rehearsal.settings_in_force(), rehearsal.stack, refusals) if find_causes and refusals else ""
    return causes and (
        f"What was refused depends on these settings in {file}:\n{causes}\n"
        "If one of them is the cause, change its value; docs/settings.md lists the valid values."
    )
