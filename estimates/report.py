"""Builds a document from estimates, and renders it as text or Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from estimates.charts import ChartCost, PoolUse
from estimates.cost import Difference, Estimate
from estimates.savings import Saving
from estimates.schedule import Schedule

_SHOWN_ROWS = 25
Document = Mapping[str, Any]


def build_cost_document(
    stack: str,
    estimate: Estimate,
    charts: Sequence[ChartCost],
    pools: Sequence[PoolUse],
    savings: Sequence[Saving],
    budget: float,
) -> dict[str, Any]:
    """The whole estimate, in the form that docs/cost.md describes; `budget` is 0 if there is none."""
    exceeded = {"usd": budget, "isExceeded": estimate.total_usd > budget} if budget else None
    return {
        "stack": stack,
        **estimate.to_json(),
        "charts": [_dump_chart(chart) for chart in charts],
        "pools": [_dump_pool(pool) for pool in pools],
        "savings": [saving.to_json() for saving in savings],
        "budget": exceeded,
    }


def add_difference(document: Document, difference: Difference, against: str) -> dict[str, Any]:
    return {**document, "difference": {"against": against, **difference.to_json()}}


def describe_total(document: Document) -> str:
    """The total in one line, with the number of parts that it does not include."""
    left_out = len(document["missing"]) + len(document["unknown"])
    least = f"at least {document['totalUsd']:,.2f}" if left_out else f"{document['totalUsd']:,.2f}"
    missing = f"; {left_out} without a price" if left_out else ""
    return f"{least} USD a month in {document['region']}, by prices of {document['pricesChecked']} or later{missing}"


def describe_budget(document: Document) -> str:
    """How the total compares to the budget, in one line; empty without a budget."""
    budget = document["budget"]
    if not budget:
        return ""
    word = "above" if budget["isExceeded"] else "within"
    return f"{word} the budget of {budget['usd']:,.0f} a month"


def describe_schedule(schedule: Schedule) -> str:
    """The critical path in one line: its minutes, and its longest steps."""
    longest = sorted(schedule.path, key=lambda step: -step.seconds)[:4]
    names = ", ".join(f"{step.name} {step.seconds / 60:.0f}" for step in sorted(longest, key=lambda step: step.start_s))
    unknown = f"; no duration of {', '.join(schedule.unknown)}" if schedule.unknown else ""
    return f"about {schedule.critical_path_s / 60:.0f} min, most of them for {names} min{unknown}"


def render_cost(document: Document, style: str) -> str:
    """Render a document of cost; `style` is `text` or `markdown`."""
    sections = [
        ("By part of the stack", ["USD", "part"], [[f"{row['usd']:,.2f}", row["group"]] for row in document["groups"]]),
        ("By resource", ["USD", "resource", "basis"], _list_rows(document["rows"])),
        ("By chart", ["USD", "chart", "pool", "CPU", "GiB", "volumes, GiB"], _list_charts(document["charts"])),
        ("Pools", ["USD", "pool", "nodes", "CPU requested", "memory requested"], _list_pools(document["pools"])),
        ("Savings, each by itself", ["USD", "way", "how"], _list_savings(document["savings"])),
        ("Without a price", ["resource", "part", "why"], _list_missing(document)),
    ]
    if "difference" in document:
        difference = document["difference"]
        title = f"Against {difference['against']}: {difference['totalUsd']:+,.2f} USD a month"
        rows = [
            [f"{row['beforeUsd']:,.2f}", f"{row['afterUsd']:,.2f}", row["name"], row["group"]]
            for row in difference["rows"]
        ]
        sections.insert(0, (title, ["before", "after", "resource", "part"], rows))
    head = [f"{document['stack']}: {describe_total(document)}"]
    if budget := describe_budget(document):
        head.append(f"The estimate is {budget}.")
    return "\n".join([*head, *(line for section in sections for line in _render_section(*section, style))])


def render_schedule(stack: str, schedule: Schedule, style: str) -> str:
    """Render the critical path, step by step; `style` is `text` or `markdown`."""
    rows = [
        [_clock(step.start_s), _clock(step.end_s), f"{step.seconds:.0f} s", step.name, step.type]
        for step in schedule.path
    ]
    head = f"{stack}: {describe_schedule(schedule)}; one after another {schedule.serial_s / 60:.0f} min"
    return "\n".join(
        [head, *_render_section("Critical path", ["from", "to", "takes", "resource", "type"], rows, style)]
    )


def _list_rows(rows: Sequence[Document]) -> list[list[str]]:
    shown = [[f"{row['usd']:,.2f}", row["name"], row["basis"]] for row in rows[:_SHOWN_ROWS]]
    rest = rows[_SHOWN_ROWS:]
    if rest:
        shown.append([f"{sum(row['usd'] for row in rest):,.2f}", f"{len(rest)} more", "FORMAT=json lists them"])
    return shown


def _list_charts(charts: Iterable[Document]) -> list[list[str]]:
    return [
        [
            f"{row['usd']:,.2f}",
            row["chart"],
            row["pool"],
            f"{row['cpu']:.2f}",
            f"{row['memoryGib']:.2f}",
            f"{row['volumesGib']:g}",
        ]
        for row in charts
    ]


def _list_pools(pools: Iterable[Document]) -> list[list[str]]:
    return [
        [
            f"{row['usd']:,.2f}",
            row["pool"],
            str(row["nodes"]),
            f"{row['cpuRequested']:.1f} of {row['cpuAllocatable']:.1f}",
            f"{row['memoryRequestedGib']:.1f} of {row['memoryAllocatableGib']:.1f} GiB",
        ]
        for row in pools
    ]


def _list_savings(savings: Iterable[Document]) -> list[list[str]]:
    return [[f"{row['usd']:,.2f}", row["name"], row["how"]] for row in savings]


def _list_missing(document: Document) -> list[list[str]]:
    missing = [[row["urn"].rpartition("::")[2], row["what"], row["reason"]] for row in document["missing"]]
    unknown = [
        [row["urn"].rpartition("::")[2], "all", f"nothing known of {row['type']}"] for row in document["unknown"]
    ]
    return [*missing, *unknown]


def _render_section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], style: str) -> list[str]:
    if not rows:
        return []
    if style == "markdown":
        table = [f"| {' | '.join(row)} |" for row in (columns, ["---"] * len(columns), *rows)]
        return ["", f"### {title}", "", *table]
    widths = [max(len(row[number]) for row in rows) for number in range(len(columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return ["", f"{title} ({', '.join(columns)})", *(f"  {line}" for line in lines)]


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02}"


def _dump_chart(chart: ChartCost) -> dict[str, Any]:
    amounts = {"cpu": round(chart.cpu, 3), "memoryGib": round(chart.memory_gib, 3), "volumesGib": chart.volumes_gib}
    return {"chart": chart.chart, "pool": chart.pool, "usd": round(chart.usd, 2), **amounts}


def _dump_pool(use: PoolUse) -> dict[str, Any]:
    return {
        "pool": use.pool.name,
        "size": use.pool.size,
        "usd": round(use.pool.usd, 2),
        "unusedUsd": round(use.unused_usd, 2),
        "nodes": use.pool.nodes,
        "cpuRequested": round(use.cpu, 3),
        "cpuAllocatable": round(use.allocatable.cpu, 3),
        "memoryRequestedGib": round(use.memory_gib, 3),
        "memoryAllocatableGib": round(use.allocatable.memory_gib, 3),
    }
