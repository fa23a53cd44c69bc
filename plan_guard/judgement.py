"""Compares what a plan would lose with what is approved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from kernel.reviewed_entries import suggest
from plan_guard.approvals import Approval
from plan_guard.holdings import describe_loss, is_known_package
from plan_guard.plan import Operation, Plan, PlannedChange

_VERBS = {Operation.REPLACE: "replaced", Operation.DELETE: "deleted"}
_USUAL_TERM = timedelta(days=7)


@dataclass(frozen=True)
class Judgement:
    """
    refused   losses that nobody has approved, each with why its approval does not hold, or an empty text
    approved  losses with their approvals
    notes     lines that stop nothing: approvals of what is not planned, what stays in the cloud, what is not judged
    """

    stack: str
    refused: Sequence[tuple[PlannedChange, str]]
    approved: Sequence[tuple[PlannedChange, Approval]]
    notes: Sequence[str]

    def describe(self) -> str:
        """What stops nothing, a line each: losses that are approved, and the notes; empty where there is neither."""
        lines = [
            f"{change.type} {change.name} {_describe(change)}: approved by {approval.approver} until {approval.expires}"
            for change, approval in self.approved
        ]
        return "\n".join([*lines, *self.notes])

    def refuse(self, file: str, today: date) -> str:
        """Why the plan may not be carried out, and what to do; empty where it may. `file` is that of the approvals."""
        if not self.refused:
            return ""
        losses = "".join(
            f"\n  - {change.type} {change.name} {_describe(change)}{reason and f'. {reason}'}"
            for change, reason in self.refused
        )
        entries = "".join(_format_entry(change, self.stack, today) for change, _ in self.refused)
        return (
            f"{self.stack} would lose data that nobody has approved to lose:{losses}\n"
            "Where that is not meant, change program or settings until the preview has it no longer. Where it is, save "
            f"what is needed of it, and have these entries of {file} reviewed, with a reason and your name:\n{entries}"
        ).rstrip()


def judge(plan: Plan, approvals: Sequence[Approval], today: date) -> Judgement:
    """Which of a plan's losses are approved on a day."""
    own = [approval for approval in approvals if approval.stack == plan.stack]
    losses = [change for change in plan.changes if _loses(change)]
    refused, approved = [], []
    for change in losses:
        reason, approval = _find_approval(change, losses, own, today)
        if approval:
            approved.append((change, approval))
        else:
            refused.append((change, reason))
    return Judgement(
        plan.stack, refused, approved, [*_note_retained(plan), *_note_idle(own, losses), *_note_unknown(plan)]
    )


def _loses(change: PlannedChange) -> bool:
    is_kept = change.is_retained and change.operation is Operation.DELETE
    return bool(describe_loss(change.type, "")) and not is_kept


def _find_approval(
    change: PlannedChange, losses: Sequence[PlannedChange], approvals: Sequence[Approval], today: date
) -> tuple[str, Approval | None]:
    """The approval of a loss, or why there is none that holds."""
    reason = ""
    for approval in approvals:
        if not approval.names(change):
            continue
        if approval.expires < today:
            reason = f"The approval of {approval.approver} expired on {approval.expires}"
        elif sum(approval.names(each) for each in losses) > 1:
            reason = f"The approval of {approval.approver} names several resources: give the `urn` of each"
        else:
            return "", approval
    return reason, None


def _describe(change: PlannedChange) -> str:
    text = describe_loss(
        change.type, _VERBS[change.operation], ", ".join(change.causes), is_protected=change.is_protected
    )
    return f"{text}; the old one stays in the cloud, and the new one is empty" if change.is_retained else text


def _note_retained(plan: Plan) -> Iterator[str]:
    for change in plan.changes:
        if change.is_retained and describe_loss(change.type, "") and not _loses(change):
            yield f"{change.type} {change.name} leaves the stack and stays in the cloud with its data (retainOnDelete)."


def _note_idle(approvals: Sequence[Approval], losses: Sequence[PlannedChange]) -> Iterator[str]:
    """Approvals of what is not planned: carried out already, no longer needed, or misspelt."""
    for approval in approvals:
        if any(map(approval.names, losses)):
            continue
        known = {change.urn if approval.urn else f"{change.type} {change.name}": change for change in losses}
        hint = _begin(suggest(approval.subject, list(known), 0.8).removeprefix(": "))
        if same := known.get(approval.subject):
            hint = f"It is planned to {same.operation} it."
        yield f"{_begin(str(approval))} is of what is not planned. {hint or 'Remove it.'}"


def _begin(text: str) -> str:
    """A text as the beginning of a sentence; `str.capitalize` would change its names."""
    return text[:1].upper() + text[1:]


def _note_unknown(plan: Plan) -> Iterator[str]:
    """What the list of types with data does not know."""
    types = (change.type for change in plan.changes if not is_known_package(change.type))
    for package, count in sorted(Counter(type_.partition(":")[0] for type_ in types).items()):
        yield f"Not judged: {count} of the package '{package}', of which the guard does not know what holds data."


def _format_entry(change: PlannedChange, stack: str, today: date) -> str:
    return (
        f"- stack: {stack}\n  urn: {change.urn}\n  operation: {change.operation}\n"
        f"  reason:\n  approver:\n  expires: {today + _USUAL_TERM}\n"
    )
