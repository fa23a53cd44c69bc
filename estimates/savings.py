"""What could be saved, each way by itself: the estimate is repeated with other assumptions or other resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from estimates.charges import HOURS
from estimates.charts import Pool, list_pools
from estimates.cost import Estimate, monthly_cost
from estimates.prices import PriceTable
from estimates.resources import Resource

_DISCOUNTS = Path(__file__).with_name("discounts.yaml")
_WORKING_HOURS = 220.0  # of a month: 22 days of 10 hours
_SHORT_RETENTION = 30
# The smallest GPU node of each cloud whose price is in the tables.
_GPU_SIZES = {"azure": "Standard_NC4as_T4_v3", "aws": "g5.xlarge"}
_LOGS = ("aws:cloudwatch/logGroup:LogGroup", "azure-native:operationalinsights:Workspace")


@dataclass(frozen=True)
class Saving:
    """What one way to save would save in a month.

    how  what to do, and the figures from which the saving is computed
    """

    name: str
    usd: float
    how: str

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "usd": round(self.usd, 2), "how": self.how}


def list_savings(
    resources: Sequence[Resource], prices: PriceTable, usage: Mapping[str, float], estimate: Estimate
) -> list[Saving]:
    """The ways to save, the largest first. They do not add up: some save the same hours."""
    cloud = "aws" if any(each.type == "pulumi:providers:aws" for each in resources) else "azure"
    pools = list_pools(resources, estimate)
    found = [
        *_save_by_discounts(pools, cloud),
        *_save_by_schedule(resources, prices, usage),
        *_save_by_retention(resources, prices, usage),
        *_save_by_scaling_to_zero(pools, prices, estimate.region, cloud),
    ]
    return sorted((saving for saving in found if saving.usd > 0), key=lambda saving: -saving.usd)


@cache
def _load_discounts() -> dict[tuple[str, str], tuple[float, str]]:
    rows = yaml.safe_load(_DISCOUNTS.read_text())
    return {(row["name"], row["cloud"]): (row["percent"] / 100, row["source"]) for row in rows}


def _save_by_discounts(pools: Sequence[Pool], cloud: str) -> Iterator[Saving]:
    free = [pool for pool in pools if not pool.is_tainted]
    share, source = _load_discounts()["spot", cloud]
    names = ", ".join(pool.name for pool in free)
    text = f"nodes of {names} that the cloud may take away: at most {share:.0%} ({source})"
    yield Saving("spot", share * sum(pool.usd for pool in free), text)
    share, source = _load_discounts()["reservation", cloud]
    text = f"all nodes at their minimum, for three years: at most {share:.0%} ({source})"
    yield Saving("reservation", share * sum(pool.usd for pool in pools), text)


def _save_by_schedule(
    resources: Sequence[Resource], prices: PriceTable, usage: Mapping[str, float]
) -> Iterator[Saving]:
    hours = {name: min(usage[name], _WORKING_HOURS) for name in ("nodeHours", "databaseHours")}
    shorter = monthly_cost(resources, prices, {**usage, **hours})
    base = monthly_cost(resources, prices, usage)
    text = f"nodes and database run {_WORKING_HOURS:g} hours a month, 22 days of 10 hours; disks stay"
    yield Saving("schedule", base.total_usd - shorter.total_usd, text)


def _save_by_retention(
    resources: Sequence[Resource], prices: PriceTable, usage: Mapping[str, float]
) -> Iterator[Saving]:
    shorter = [
        replace(each, inputs={**each.inputs, "retentionInDays": _SHORT_RETENTION})
        if each.type in _LOGS and float(each.get("retentionInDays", 0)) > _SHORT_RETENTION
        else each
        for each in resources
    ]
    saved = monthly_cost(resources, prices, usage).total_usd - monthly_cost(shorter, prices, usage).total_usd
    yield Saving("retention", saved, f"the cloud's logs are kept {_SHORT_RETENTION} days")


def _save_by_scaling_to_zero(pools: Sequence[Pool], prices: PriceTable, region: str, cloud: str) -> Iterator[Saving]:
    idle = 1 - _WORKING_HOURS / HOURS
    for pool in pools:
        if not pool.is_tainted and pool.nodes:
            text = f"pool {pool.name} has no nodes outside of {_WORKING_HOURS:g} hours a month"
            yield Saving("scale to zero", pool.usd * idle, text)
    price = prices.find(f"node/{_GPU_SIZES[cloud]}", region)
    if price:
        text = (
            f"already so: cluster.gpuPool begins at zero nodes; what one {_GPU_SIZES[cloud]} that stood idle would cost"
        )
        yield Saving("GPU pool from zero", price.usd * HOURS, text)
