"""The figures of docs/cost.md, computed from the stacks. `python -m tests.support.cost_page` writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from estimates import (
    Estimate,
    Resource,
    critical_path,
    describe_schedule,
    list_savings,
    load_durations,
    load_prices,
    monthly_cost,
)
from rehearsal.toolchain import ROOT
from tests.support.stack_resources import STACKS, read_cost_settings, record_stack

PAGE = ROOT / "docs" / "cost.md"
_BEGIN, _END = "<!-- figures: written by `make docs-cost` -->\n", "<!-- end of the figures -->\n"
_BANDS = {"dev": "150 to 250", "prod": "300 to 500", "enterprise": "500 to 1,000"}
_ENTERPRISE_NODES = 6
_TIMES = 10  # an enterprise's usage, as a multiple of the assumptions in `cost.usage`
_MEASURED = ("networkGb", "objectsGb", "logsGb", "flowLogsGb", "tableGb", "tableRequestsMillion", "requestsMillion")
# The parts of a stack for security or resilience, with their items in the price table.
_REASONS: Mapping[str, Sequence[str]] = {
    "addresses of services inside the network": ("private-endpoint", "private-endpoint-data", "private-zone"),
    "one way to the internet with fixed addresses": ("nat-gateway", "nat-gateway-data", "public-address"),
    "keys of the account's own": ("key", "key-requests", "vault-operations"),
    "audit trail, flow logs, the cloud's logs": ("logs-ingestion", "logs-retention", "flow-logs", "data-events"),
    "registry with private access (Premium)": ("registry/Premium",),
    "alerts from outside of the cluster": ("alarm", "metric", "dashboard", "metric-alert", "log-alert"),
}


def render_figures() -> str:
    """The tables of the page."""
    sizes = {(cloud, size): _estimate(cloud, size) for cloud in ("azure", "aws") for size in _BANDS}
    lines = [*_list_stacks(), "", *_list_sizes(sizes), "", *_list_reasons(sizes), "", *_list_savings()]
    return "\n".join([*lines, "", *_list_durations(), ""])


def split_page(text: str) -> tuple[str, str, str]:
    """The text before the figures, the figures, and the text after them."""
    before, begin, rest = text.partition(_BEGIN)
    figures, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"{PAGE} has no markers for the figures")
    return before, figures, after


def write_page() -> None:
    before, _, after = split_page(PAGE.read_text())
    PAGE.write_text(f"{before}{_BEGIN}{render_figures()}{_END}{after}")


def _estimate(cloud: str, size: str) -> Estimate:
    stack = f"{cloud}-{'dev' if size == 'dev' else 'prod'}"
    _, usage = read_cost_settings(stack)
    resources = record_stack(stack)
    if size == "enterprise":
        usage = {name: value * _TIMES if name in _MEASURED else value for name, value in usage.items()}
        resources = [_enlarge(resource) for resource in resources]
    return monthly_cost(resources, load_prices(), usage)


def _enlarge(resource: Resource) -> Resource:
    """Double the nodes of a user pool."""
    if resource.name != "cluster-user":
        return resource
    if "minCount" in resource.inputs:
        return replace(resource, inputs={**resource.inputs, "minCount": _ENTERPRISE_NODES})
    if "scalingConfig" in resource.inputs:
        bounds = {**resource.inputs["scalingConfig"], "minSize": _ENTERPRISE_NODES}
        return replace(resource, inputs={**resource.inputs, "scalingConfig": bounds})
    return resource


def _list_stacks() -> Iterator[str]:
    yield "| stack | USD a month | nodes and control plane | database | network | the rest | without a price |"
    yield "|---|---|---|---|---|---|---|"
    for stack in STACKS:
        _, usage = read_cost_settings(stack)
        estimate = monthly_cost(record_stack(stack), load_prices(), usage)
        groups = estimate.by_group()
        parts = [groups.get(name, 0.0) for name in ("cluster", "database", "network")]
        missing = ", ".join(sorted({each.what for each in estimate.missing})) or "nothing"
        cells = [estimate.total_usd, *parts, estimate.total_usd - sum(parts)]
        yield f"| {stack} | {' | '.join(f'{usd:,.0f}' for usd in cells)} | {missing} |"


def _list_sizes(sizes: Mapping[tuple[str, str], Estimate]) -> Iterator[str]:
    yield "| size | expected, USD | Azure | AWS |"
    yield "|---|---|---|---|"
    for size, band in _BANDS.items():
        yield f"| {size} | {band} | {sizes['azure', size].total_usd:,.0f} | {sizes['aws', size].total_usd:,.0f} |"


def _list_reasons(sizes: Mapping[tuple[str, str], Estimate]) -> Iterator[str]:
    estimates = [sizes[cloud, size] for cloud in ("azure", "aws") for size in ("dev", "prod")]
    yield "| what for, USD a month | azure-dev | azure-prod | aws-dev | aws-prod |"
    yield "|---|---|---|---|---|"
    for reason, items in _REASONS.items():
        yield f"| {reason} | {' | '.join(f'{_sum_items(each, items):,.0f}' for each in estimates)} |"
    standby = [
        sum(item.usd for row in each.rows if row.group == "database" for item in row.items) / 2 if number % 2 else 0.0
        for number, each in enumerate(estimates)
    ]
    yield f"| a standby of the database in a second zone | {' | '.join(f'{usd:,.0f}' for usd in standby)} |"


def _sum_items(estimate: Estimate, items: Sequence[str]) -> float:
    return sum(
        item.usd
        for row in estimate.rows
        for item in row.items
        if item.charge.item in items or item.charge.item.partition("/")[0] in items
    )


def _list_savings() -> Iterator[str]:
    yield "| stack | way | USD a month | how |"
    yield "|---|---|---|---|"
    for stack in ("azure-dev", "aws-prod"):
        _, usage = read_cost_settings(stack)
        resources = record_stack(stack)
        estimate = monthly_cost(resources, load_prices(), usage)
        for saving in list_savings(resources, load_prices(), usage, estimate):
            yield f"| {stack} | {saving.name} | {saving.usd:,.0f} | {saving.how} |"


def _list_durations() -> Iterator[str]:
    yield "| stack | a first deployment |"
    yield "|---|---|"
    for stack in STACKS:
        yield f"| {stack} | {describe_schedule(critical_path(record_stack(stack), load_durations()))} |"


if __name__ == "__main__":
    write_page()
