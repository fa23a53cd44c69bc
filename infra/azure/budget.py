"""The monthly budget."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pulumi
from pulumi_azure_native import authorization, consumption

from infra.core.component import Component, StackContext


@dataclass(frozen=True)
class BudgetArgs:
    context: StackContext


class Budget(Component):
    """A budget for all resources with the stack's tag, including nodes in AKS's resource group; only if it is set."""

    layer = "azure"

    def __init__(self, name: str, args: BudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        if args.context.settings.cost.monthly_budget:
            self._create_budget(name, args.context)
        self.register_outputs({})

    def _create_budget(self, name: str, context: StackContext) -> None:
        account = authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=self))
        consumption.Budget(
            name,
            scope=pulumi.Output.concat("/subscriptions/", account.subscription_id),
            budget_name=context.naming.regional_name("monthly"),
            category="Cost",
            time_grain="Monthly",
            amount=context.settings.cost.monthly_budget,
            # Azure accepts only the first day of the current month, which cannot be changed later.
            time_period=consumption.BudgetTimePeriodArgs(
                start_date=datetime.now(UTC).strftime("%Y-%m-01T00:00:00Z"),
            ),
            filter=consumption.BudgetFilterArgs(
                tags=consumption.BudgetComparisonExpressionArgs(
                    name="stack", operator="In", values=[context.naming.stack]
                )
            ),
            notifications={
                kind: consumption.NotificationArgs(
                    enabled=True,
                    operator="GreaterThan",
                    threshold=percent,
                    threshold_type=kind,
                    contact_emails=[context.settings.telemetry.alert_email],
                )
                for kind, percent in (("Actual", 80), ("Forecasted", 100))
            },
            opts=self.child_options(ignore_changes=["timePeriod"]),
        )
