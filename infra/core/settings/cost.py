"""The settings of a stack's budget, and of the usage that estimates assume."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from infra.core.settings.sections import Section
from infra.core.settings.values import Unit, WholeNumber

_MAXIMUM_HOURS = 730  # of a month, 8,760 / 12
_Gigabytes = Annotated[WholeNumber, Unit("GB a month")]
_Hours = Annotated[WholeNumber, Unit("hours a month")]
_Millions = Annotated[WholeNumber, Unit("million a month")]


class UsageSettings(Section):
    """The monthly usage that `make cost` assumes if no resource states it. It changes estimates only, not the cloud.

    The defaults suit a team that is starting out: a few models, some thousand predictions a day. The clouds' bills show
    what a stack really uses.
    """

    node_hours: _Hours = Field(
        _MAXIMUM_HOURS, ge=0, le=_MAXIMUM_HOURS, examples=[220], description="how long the pools' nodes run"
    )
    database_hours: _Hours = Field(
        _MAXIMUM_HOURS, ge=0, le=_MAXIMUM_HOURS, examples=[220], description="how long the PostgreSQL server runs"
    )
    training_hours: _Hours = Field(
        20, ge=0, le=100_000, examples=[100], description="node hours of the managed training service (Azure)"
    )
    network_gb: _Gigabytes = Field(
        100,
        ge=0,
        le=10_000_000,
        examples=[500],
        description="traffic through all NAT gateways, and the same amount through all private endpoints",
    )
    objects_gb: _Gigabytes = Field(
        50, ge=0, le=10_000_000, examples=[500], description="data stored in each bucket or storage account"
    )
    images_gb: _Gigabytes = Field(
        5, ge=0, le=100_000, examples=[20], description="images in each repository (AWS; Azure includes 500 GB)"
    )
    logs_gb: _Gigabytes = Field(
        20,
        ge=0,
        le=1_000_000,
        examples=[100],
        description="data ingested by the cloud's own logs, including audit logs",
    )
    flow_logs_gb: _Gigabytes = Field(
        5,
        ge=0,
        le=1_000_000,
        examples=[20],
        description="flow logs of the network (Azure; on AWS they are in `logsGb`)",
    )
    table_gb: _Gigabytes = Field(
        2, ge=0, le=1_000_000, examples=[20], description="data stored in each table of experiments"
    )
    table_requests_million: _Millions = Field(
        2,
        ge=0,
        le=1_000_000,
        examples=[50],
        description="reads of each table of experiments, and the same number of writes",
    )
    requests_million: _Millions = Field(
        1,
        ge=0,
        le=1_000_000,
        examples=[10],
        description="reads of each bucket or storage account, and the same number of writes; also requests for keys, "
        "secrets and queues, and audit events",
    )


class CostSettings(Section):
    """What the stack may cost. Exceeding the budget sends a message, and stops nothing that runs."""

    monthly_budget: Annotated[WholeNumber, Unit("units of the account's currency")] = Field(
        0,
        ge=0,
        le=10_000_000,
        examples=[5000],
        description="monthly budget, on Azure in the currency of the bill, on AWS in US dollars: "
        "`telemetry.alertEmail` receives a message at 80 % of it, and when it is forecast to be exceeded; a rehearsal "
        "whose estimate is above it fails; 0 for no budget",
    )
    usage: UsageSettings = UsageSettings()
