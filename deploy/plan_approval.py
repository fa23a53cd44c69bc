"""Compares the losses of data in a preview with those that are approved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deploy.errors import DeployError
from deploy.stack import Stack
from kernel.reviewed_entries import find_today, shorten
from kernel.stack_names import list_stacks
from plan_guard import Approval, ApprovalError, PlanError, evaluate_plan, load_approvals, read_plan

FILE = "approvals.yaml"
"""Beside the stacks' files."""


def read_approvals(stack: Stack) -> Sequence[Approval]:
    """The approvals for all stacks. Raises DeployError that lists everything wrong in them."""
    try:
        return load_approvals(stack.file.parent / FILE, list_stacks(stack.file.parent))
    except ApprovalError as error:
        raise DeployError(str(error)) from None


def check_preview(stack: Stack, log: Path, approvals: Sequence[Approval]) -> tuple[str, str]:
    """The report on a preview, and why it may not be carried out; either may be empty.

    `log` has the engine's events of the preview. Raises DeployError if they do not show what it would lose.
    """
    try:
        evaluation = evaluate_plan(read_plan(log.read_text(encoding="utf-8"), "The preview"), approvals, find_today())
    except (OSError, PlanError) as error:
        raise DeployError(f"It is not known which data a deployment of {stack.name} would lose: {error}") from None
    return evaluation.describe(), evaluation.refuse(shorten(stack.file.parent / FILE), find_today())
