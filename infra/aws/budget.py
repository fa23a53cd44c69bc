"""The monthly budget."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import budgets

from infra.core.component import Component, StackContext


@dataclass(frozen=True)
class BudgetArgs:
    context: StackContext


class Budget(Component):
    """A budget for all resources with the stack's tag, which the account must have activated; only if it is set.

    Source: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/activating-tags.html
    """

    layer = "aws"

    def __init__(self, name: str, args: BudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        if args.context.settings.cost.monthly_budget:
            self._create_budget(name, args.context)
        self.register_outputs({})

    def _create_budget(self, name: str, context: StackContext) -> None:
        budgets.Budget(
            name,
            name=context.naming.regional_name("monthly", limit=100),
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(context.settings.cost.monthly_budget),
            limit_unit="USD",
            # Source of the form: https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-create-filters.html
            cost_filters=[
                budgets.BudgetCostFilterArgs(name="TagKeyValue", values=[f"user:stack${context.naming.stack}"])
            ],
            notifications=[
                budgets.BudgetNotificationArgs(
                    comparison_operator="GREATER_THAN",
                    notification_type=kind,
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                    subscriber_email_addresses=[context.settings.telemetry.alert_email],
                )
                for kind, percent in (("ACTUAL", 80), ("FORECASTED", 100))
            ],
            tags=context.naming.tags,
            opts=self.child_options(),
        )
