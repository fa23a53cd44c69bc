"""Requires a person's approval for each loss of data in a preview of any Pulumi project.

Other packages import the names in this module only.
"""

from plan_guard.approvals import Approval, ApprovalError, load_approvals
from plan_guard.holdings import describe_loss, find_holding
from plan_guard.judgement import Judgement, judge
from plan_guard.plan import Plan, PlanError, PlannedChange, read_plan

__all__ = [
    "Approval",
    "ApprovalError",
    "Judgement",
    "Plan",
    "PlanError",
    "PlannedChange",
    "describe_loss",
    "find_holding",
    "judge",
    "load_approvals",
    "read_plan",
]
