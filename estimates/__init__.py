"""What a stack will cost in a month, and how long it takes to deploy: estimates from a list of its resources.

The package knows neither program nor engine: it gets resources, tables of prices and durations, and assumptions.
"""

from estimates.cost import Difference, Estimate, UsageError, compare, monthly_cost
from estimates.durations import DurationTable, load_durations
from estimates.prices import PriceTable, PriceTableError, load_prices
from estimates.resources import Resource, read_preview, read_state
from estimates.schedule import Schedule, critical_path, find_makespan

__all__ = [
    "Difference",
    "DurationTable",
    "Estimate",
    "PriceTable",
    "PriceTableError",
    "Resource",
    "Schedule",
    "UsageError",
    "compare",
    "critical_path",
    "find_makespan",
    "load_durations",
    "load_prices",
    "monthly_cost",
    "read_preview",
    "read_state",
]
