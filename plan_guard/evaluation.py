"""Compares the losses in a plan with their approvals."""

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
class PlanEvaluation:
    """
    refused   losses without a valid approval, each with the reason why an approval is not valid, or an empty string
    approved  losses with their approvals
    notes     lines that stop nothing: approvals that match no loss, what stays in the cloud, what is not checked
    """

    stack: str
    refused: Sequence[tuple[PlannedChange, str]]
    approved: Sequence[tuple[PlannedChange, Approval]]
    notes: Sequence[str]

    def describe(self) -> str:
        """The approved losses and the notes, one per line; empty if there are none."""
        lines = [
            f"{change.type} {change.name} {_describe(change)}: approved by {approval.approver} until {approval.expires}"
            for change, approval in self.approved
        ]
        return "\n".join([*lines, *self.notes])

    def refuse(self, file: str, today: date) -> str:
        """Why the plan may not be deployed, and what to do; empty if it may. `file` is the file of approvals."""
        if not self.refused:
            return ""
        losses = "".join(
            f"\n  - {change.type} {change.name} {_describe(change)}{reason and f'. {reason}'}"
            for change, reason in self.refused
        )
        entries = "".join(_format_entry(change, self.stack, today) for change, _ in self.refused)
        return (
            f"{self.stack} would lose data without approval:{losses}\n"
            "If this is not intended, change the program or its settings until the preview no longer shows it. If it "
            f"is, back up what you need, add these entries to {file} with a reason and your name, and have them "
            f"reviewed:\n{entries}"
        ).rstrip()


def evaluate_plan(plan: Plan, approvals: Sequence[Approval], today: date) -> PlanEvaluation:
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
    return PlanEvaluation(
        plan.stack, refused, approved, [*_note_retained(plan), *_note_idle(own, losses), *_note_unknown(plan)]
    )


def _loses(change: PlannedChange) -> bool:
    stays_in_cloud = change.is_retained and change.operation is Operation.DELETE
    return bool(describe_loss(change.type, "")) and not stays_in_cloud


def _find_approval(
    change: PlannedChange, losses: Sequence[PlannedChange], approvals: Sequence[Approval], today: date
) -> tuple[str, Approval | None]:
    """The approval of a loss, or the reason why an approval of it is not valid."""
    reason = ""
    for approval in approvals:
        if not approval.names(change):
            continue
        if approval.expires < today:
            reason = f"The approval of {approval.approver} expired on {approval.expires}"
        elif sum(approval.names(each) for each in losses) > 1:
            reason = f"The approval of {approval.approver} matches several resources: approve each by its `urn`"
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
    """Approvals that match no planned loss: already deployed, no longer needed, or misspelt."""
    for approval in approvals:
        if any(map(approval.names, losses)):
            continue
        known = {change.urn if approval.urn else f"{change.type} {change.name}": change for change in losses}
        hint = _begin(suggest(approval.subject, list(known), 0.8).removeprefix(": "))
        if same := known.get(approval.subject):
            hint = f"It is planned to {same.operation} it."
        yield f"{_begin(str(approval))} matches no planned loss. {hint or 'Remove it.'}"


def _begin(text: str) -> str:
    """A text with a capital first letter; `str.capitalize` would also change the names in it."""
    return text[:1].upper() + text[1:]


def _note_unknown(plan: Plan) -> Iterator[str]:
    """Changes of packages that the list of types with data does not cover."""
    types = (change.type for change in plan.changes if not is_known_package(change.type))
    for package, count in sorted(Counter(type_.partition(":")[0] for type_ in types).items()):
        yield f"Not checked: {count} of the package '{package}'. The guard does not know which of its types hold data."


def _format_entry(change: PlannedChange, stack: str, today: date) -> str:
    return (
        f"- stack: {stack}\n  urn: {change.urn}\n  operation: {change.operation}\n"
        f"  reason:\n  approver:\n  expires: {today + _USUAL_TERM}\n"
    )
