"""Estimates what a stack costs a month, and how long it takes to deploy, from a list of its resources.

The package knows neither the program nor the engine: its inputs are resources, tables of prices and durations, and
assumptions.
"""

from estimates.charts import ChartCost, NodeSize, Pool, PoolUse, list_pools, list_workloads, share_pools
from estimates.cost import Difference, Estimate, UsageError, compare, monthly_cost
from estimates.durations import Duration, DurationTable, load_durations, load_steps
from estimates.prices import PriceTable, PriceTableError, load_prices
from estimates.report import (
    add_difference,
    build_cost_document,
    describe_budget,
    describe_schedule,
    describe_total,
    render_cost,
    render_schedule,
)
from estimates.resources import Resource, read_preview, read_state
from estimates.savings import Saving, list_savings
from estimates.schedule import CyclicDependencyError, Schedule, critical_path, find_makespan

__all__ = [
    "ChartCost",
    "CyclicDependencyError",
    "Difference",
    "Duration",
    "DurationTable",
    "Estimate",
    "NodeSize",
    "Pool",
    "PoolUse",
    "PriceTable",
    "PriceTableError",
    "Resource",
    "Saving",
    "Schedule",
    "UsageError",
    "add_difference",
    "build_cost_document",
    "compare",
    "critical_path",
    "describe_budget",
    "describe_schedule",
    "describe_total",
    "find_makespan",
    "list_pools",
    "list_savings",
    "list_workloads",
    "load_durations",
    "load_prices",
    "load_steps",
    "monthly_cost",
    "read_preview",
    "read_state",
    "render_cost",
    "render_schedule",
    "share_pools",
]
