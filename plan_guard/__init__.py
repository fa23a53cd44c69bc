"""Requires a person's approval for each loss of data in a preview of any Pulumi project.

Other packages import the names in this module only.
"""

from plan_guard.approvals import Approval, ApprovalError, load_approvals
from plan_guard.evaluation import PlanEvaluation, evaluate_plan
from plan_guard.holdings import describe_loss, find_holding
from plan_guard.plan import Plan, PlanError, PlannedChange, read_plan

__all__ = [
    "Approval",
    "ApprovalError",
    "Plan",
    "PlanError",
    "PlanEvaluation",
    "PlannedChange",
    "describe_loss",
    "evaluate_plan",
    "find_holding",
    "load_approvals",
    "read_plan",
]
