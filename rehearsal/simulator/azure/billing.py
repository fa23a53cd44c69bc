"""Budgets."""

from __future__ import annotations

from datetime import datetime

from kernel.values import UNKNOWN
from rehearsal.simulator.azure.arm import STABLE_OUTPUTS
from rehearsal.simulator.azure.defaults import auto_named
from rehearsal.simulator.core.resource_model import ResourceModel, ResourceRequest
from rehearsal.simulator.core.rules import in_range, matches, one_of, refuse_when
from rehearsal.simulator.core.transitions import refuse_change

# Source: https://learn.microsoft.com/azure/templates/microsoft.consumption/budgets
_ID = "{scope}/providers/Microsoft.Consumption/budgets/{budgetName}"
_TIME_GRAINS = ("Monthly", "Quarterly", "Annually", "BillingMonth", "BillingQuarter", "BillingAnnual")
_MAXIMUM_NOTIFICATIONS = 5
_EARLIEST = "2017-06-01"


# Source: https://learn.microsoft.com/dotnet/api/azure.resourcemanager.consumption.consumptionbudgetdata.timeperiod
def _starts_within_month(request: ResourceRequest) -> bool:
    start = request.get("timePeriod.startDate", UNKNOWN)
    if start is UNKNOWN:
        return False
    try:
        day = datetime.fromisoformat(str(start)).date()
    except ValueError:
        return True
    return day.day != 1 or day.isoformat() < _EARLIEST


# Source: https://learn.microsoft.com/rest/api/consumption/budgets/create-or-update
def _has_too_many_notifications(request: ResourceRequest) -> bool:
    notifications = request.get("notifications", {})
    return isinstance(notifications, dict) and len(notifications) > _MAXIMUM_NOTIFICATIONS


MODELS = (
    ResourceModel(
        "azure-native:consumption:Budget",
        id=_ID,
        outputs={"name": "{budgetName}", "type": "Microsoft.Consumption/budgets"},
        required=("amount", "category", "scope", "timeGrain", "timePeriod"),
        defaults=auto_named(_ID),
        # The parameters of its ID. Source: https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/provider/diff.go
        replace_on_changes=("budgetName", "scope"),
        transitions=(
            # Source: https://github.com/Azure/CanadaPubSecALZ/issues/317
            refuse_change(
                "timePeriod.startDate",
                "BadRequest: Start date of budgets cannot be updated. Please delete and create a new budget. "
                "It is {old}.",
            ),
        ),
        stable_outputs=STABLE_OUTPUTS,
        rules=(
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/consumption/validate/name.go
            matches("budgetName", r"[A-Za-z0-9_-]{1,63}", "BadRequest: Invalid budget name '{value}'."),
            one_of("timeGrain", _TIME_GRAINS, "BadRequest: Invalid time grain '{value}'."),
            # Source: https://github.com/hashicorp/terraform-provider-azurerm/blob/main/internal/services/consumption/consumption_budget_base.go
            in_range("amount", 1, 10**12, "BadRequest: The amount {value} of a budget must be at least 1."),
            refuse_when(
                _starts_within_month,
                "BadRequest: Start date must be the first of a month, and on or after June 1, 2017.",
            ),
            refuse_when(
                _has_too_many_notifications,
                f"BadRequest: A budget can have at most {_MAXIMUM_NOTIFICATIONS} notifications.",
            ),
        ),
    ),
)
