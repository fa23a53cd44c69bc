"""Budgets, which belong to an account and not to a region."""

from __future__ import annotations

from kernel.values import UNKNOWN
from rehearsal.simulator.aws.naming import auto_named
from rehearsal.simulator.core.resource_model import UNRESTRICTED, ResourceModel, ResourceRequest
from rehearsal.simulator.core.rules import list_objects, matches, one_of, refuse_when

# Sources: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_Budget.html and
# https://docs.aws.amazon.com/cost-management/latest/userguide/management-limits.html
_TYPES = ("USAGE", "COST", "RI_UTILIZATION", "RI_COVERAGE", "SAVINGS_PLANS_UTILIZATION", "SAVINGS_PLANS_COVERAGE")
_PERIODS = ("DAILY", "MONTHLY", "QUARTERLY", "ANNUALLY", "CUSTOM")
# Source: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_CreateBudget.html
_MAXIMUM_NOTIFICATIONS, _MAXIMUM_ADDRESSES = 5, 10


def _has_too_many_notifications(request: ResourceRequest) -> bool:
    return len(list(list_objects(request, "notifications"))) > _MAXIMUM_NOTIFICATIONS


def _notifies_wrong_number(request: ResourceRequest) -> bool:
    """Whether a notification has more than ten addresses or one topic, or no subscriber at all."""
    for notification in list_objects(request, "notifications"):
        addresses = notification.get("subscriberEmailAddresses") or []
        topics = notification.get("subscriberSnsTopicArns") or []
        if UNKNOWN in (addresses, topics):
            continue
        if not addresses and not topics:
            return True
        if len(addresses) > _MAXIMUM_ADDRESSES or len(topics) > 1:
            return True
    return False


MODELS = (
    ResourceModel(
        "aws:budgets/budget:Budget",
        id="{account}:{name}",
        outputs={"arn": "arn:aws:budgets::{account}:budget/{name}"},
        required=("budgetType", "timeUnit"),
        defaults=auto_named(),
        # Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/budgets/budget.go
        replace_on_changes=("name",),
        transitions=UNRESTRICTED,
        rules=(
            matches(
                "name",
                r"(?!.*/action/)[^:\\]{1,100}",
                "InvalidParameterException: BudgetName '{value}' must have 1 to 100 characters, no : and no \\",
            ),
            one_of("budgetType", _TYPES, "expected budget_type to be valid, got {value}"),
            one_of("timeUnit", _PERIODS, "expected time_unit to be valid, got {value}"),
            # Source: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_Spend.html
            matches("limitAmount", r"([0-9]*\.)?[0-9]+", "InvalidParameterException: {value} is not an amount"),
            refuse_when(
                _has_too_many_notifications,
                f"CreationLimitExceededException: a budget can have at most {_MAXIMUM_NOTIFICATIONS} notifications",
            ),
            refuse_when(
                _notifies_wrong_number,
                f"InvalidParameterException: a notification needs a subscriber, and has at most {_MAXIMUM_ADDRESSES} "
                "e-mail addresses and one topic",
            ),
        ),
    ),
)
