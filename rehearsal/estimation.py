"""Estimates a stack's cost and duration, from a preview on simulated clouds or from the resources that exist.

A preview for an estimate uses a separate rehearsal in which nothing is deployed. It therefore sees every resource, and
does not touch the stack's own rehearsal.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import estimates
from estimates import Estimate, NodeSize, Resource, Schedule
from kernel.engine_events import read_events
from rehearsal.console import UserError, info
from rehearsal.helm import rendering
from rehearsal.helm.rendering import Release, RenderError
from rehearsal.kubernetes.cloud_controller import vm_sizes
from rehearsal.preparation import preparing
from rehearsal.session import Rehearsal
from rehearsal.simulator.offline_kubernetes import RELEASE
from rehearsal.toolchain import ROOT

_PURPOSE = "estimate"
_AKS_PODS, _EKS_DISK = 110, 100
_MIB_PER_GIB = 1024


@dataclass(frozen=True)
class StackEstimate:
    """A stack's cost as a document (docs/cost.md), the estimate behind it, and the schedule.

    file  the file with the stack's settings
    """

    document: Mapping[str, Any]
    cost: Estimate
    schedule: Schedule
    file: str

    def list_problems(self) -> list[str]:
        """Why the estimate fails a rehearsal: it is above the budget."""
        budget = self.document["budget"]
        if not budget or not budget["isExceeded"]:
            return []
        return [
            f"The estimate, {estimates.describe_total(self.document)}, is above cost.monthlyBudget, "
            f"{budget['usd']:,.0f}. Remedy: `make cost STACK={self.document['stack']}` lists the largest costs and "
            f"possible savings; change those, or the assumptions in cost.usage, or raise the budget in {self.file}."
        ]

    def summary_lines(self) -> list[str]:
        budget = estimates.describe_budget(self.document)
        largest = ", ".join(f"{row['group']} {row['usd']:,.0f}" for row in self.document["groups"][:4])
        return [
            f"{'cost':15} {estimates.describe_total(self.document)}{'; ' + budget if budget else ''}",
            f"{'':15} most of it for {largest}",
            f"{'deployment':15} {estimates.describe_schedule(self.schedule)}",
        ]


def print_cost(arguments: Namespace) -> int:
    """Print the monthly cost of a stack with its present settings and program, and the difference from a base."""
    estimate = estimate_preview(arguments.stack, arguments.port)
    document = estimate.document
    if arguments.diff:
        base = _estimate_base(arguments.stack, arguments.diff, arguments.port)
        document = estimates.add_difference(document, estimates.compare(base, estimate.cost), arguments.diff)
    print(_format(document, estimates.render_cost(document, arguments.format), arguments.format))
    return 0


def print_duration(arguments: Namespace) -> int:
    """Print how long a first deployment of a stack takes, and its critical path."""
    schedule = estimate_preview(arguments.stack, arguments.port).schedule
    document = {"stack": arguments.stack, **schedule.to_json()}
    print(_format(document, estimates.render_schedule(arguments.stack, schedule, arguments.format), arguments.format))
    return 0


def print_resources(arguments: Namespace) -> int:
    """Print the resources that a preview would create, as JSON, for an estimate of another version of the project."""
    resources = preview_resources(Rehearsal(arguments.stack, _PURPOSE), arguments.port)
    print(json.dumps([asdict(resource) for resource in resources]))
    return 0


def estimate_preview(stack: str, port: int) -> StackEstimate:
    """Preview a stack on simulated clouds and estimate it. Raises UserError if the preview fails."""
    rehearsal = Rehearsal(stack, _PURPOSE)
    return estimate_resources(rehearsal, preview_resources(rehearsal, port))


def estimate_state(rehearsal: Rehearsal, state: str) -> StackEstimate | None:
    """Estimate a deployed stack from the engine's export (JSON); None if the project has no cost settings."""
    if not rehearsal.project.cost:
        return None
    return estimate_resources(rehearsal, estimates.read_state(json.loads(state)["deployment"].get("resources", [])))


def estimate_resources(rehearsal: Rehearsal, resources: Sequence[Resource]) -> StackEstimate:
    """Estimate a stack from its resources and its settings. Raises UserError if the settings are not valid."""
    settings = rehearsal.project.cost_settings()
    if settings is None:
        raise UserError(
            "rehearsal.yaml does not set 'cost', the entry point for budget and assumptions: see rehearsal/project.py."
        )
    try:
        budget, usage = settings(rehearsal.settings_in_force(), rehearsal.stack)
        prices, charts = estimates.load_prices(), _render_charts(resources)
        cost = estimates.monthly_cost(resources, prices, usage, charts)
        pools = estimates.list_pools(resources, cost)
        sizes = {pool.size: size for pool in pools if (size := _find_node_size(pool.size))}
        workloads = estimates.list_workloads(resources, charts)
        chart_costs, uses = estimates.share_pools(pools, workloads, sizes)
        savings = estimates.list_savings(resources, prices, usage, cost)
        schedule = estimates.critical_path(resources, estimates.load_durations())
    except ValueError as error:
        raise UserError(str(error)) from None
    document = estimates.build_cost_document(rehearsal.stack, cost, chart_costs, uses, savings, budget)
    project = rehearsal.project
    return StackEstimate(document, cost, schedule, project.shorten(project.stack_file(rehearsal.stack)))


def preview_resources(rehearsal: Rehearsal, port: int) -> list[Resource]:
    """The resources that a preview would create in a fresh account. Raises UserError if it fails."""
    rehearsal.refresh_settings()
    events, plan = rehearsal.folder / "estimate-events.jsonl", rehearsal.folder / "estimate-plan.json"
    events.unlink(missing_ok=True)
    plan.unlink(missing_ok=True)
    info(f"Previewing {rehearsal.stack} for an estimate; the clouds are simulated.")
    with preparing() as preparation, rehearsal.previewing(preparation.engine(), port) as environment:
        command = ["preview", "--event-log", str(events), "--save-plan", str(plan), "--color", "never"]
        reply = rehearsal.pulumi(command, environment, quiet=True)
    if reply.returncode != 0:
        raise UserError(f"The preview of {rehearsal.stack} failed, so there is nothing to estimate:\n{reply.stdout}")
    return estimates.read_preview(read_events(events), json.loads(plan.read_text()))


def _estimate_base(stack: str, base: str, port: int) -> Estimate:
    """The cost of another stack, or of the same stack at another commit with the present assumptions.

    Raises UserError if the base is neither a stack nor a commit.
    """
    rehearsal = Rehearsal(stack, _PURPOSE)
    if base in rehearsal.project.stack_names:
        return estimate_preview(base, port).cost
    with tempfile.TemporaryDirectory(prefix="groundwork-base-") as folder:
        _check_out(rehearsal.project.root, base, Path(folder))
        return estimate_resources(rehearsal, _preview_elsewhere(Path(folder), stack, base)).cost


def _check_out(root: Path, commit: str, folder: Path) -> None:
    archive = folder / "base.tar"
    command = ["git", "-C", str(root), "archive", "--format=tar", f"--output={archive}", "--end-of-options", commit]
    reply = subprocess.run(command, capture_output=True, text=True, check=False)
    if reply.returncode != 0:
        raise UserError(
            f"DIFF={commit} is neither a stack nor a commit of this repository: {reply.stderr.strip()}. Name a stack "
            "of stacks/, a branch, a tag or a commit."
        )
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    archive.unlink()


def _preview_elsewhere(folder: Path, stack: str, commit: str) -> list[Resource]:
    """Preview a copy of the project with this version of the rehearsal, and with the copy's own program."""
    # Isolated: this version of the rehearsal runs the program of the copy.
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from rehearsal.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-I", "-c", start, "resources", stack]
    reply = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if reply.returncode != 0:
        raise UserError(f"{stack} cannot be previewed at {commit}, see above. Compare with a later commit.")
    rows = json.loads(reply.stdout)
    return [Resource(**{**row, "dependencies": tuple(row["dependencies"])}) for row in rows]


def _render_charts(resources: Sequence[Resource]) -> dict[str, Sequence[Mapping[str, Any]]]:
    """The objects of each release's chart; none if the chart is not available or does not render."""
    rendered: dict[str, Sequence[Mapping[str, Any]]] = {}
    for resource in resources:
        if resource.type == RELEASE:
            try:
                objects = rendering.render(Release.from_inputs(resource.inputs)).objects
            except (RenderError, KeyError):
                objects = ()
            rendered[resource.urn] = objects
    return rendered


def _find_node_size(size: str) -> NodeSize | None:
    """The capacity for pods of a node of this size; None for a size that the rehearsal does not know."""
    try:
        if size.startswith("Standard_"):
            capacity = vm_sizes.azure_node_capacity(vm_sizes.azure_vm_size(size), _AKS_PODS, None)
        else:
            capacity = vm_sizes.aws_node_capacity(vm_sizes.aws_vm_size(size), _EKS_DISK)
    except vm_sizes.UnknownVmSizeError:
        return None
    return NodeSize(capacity.allocatable_cpu / 1000, capacity.allocatable_memory / _MIB_PER_GIB)


def _format(document: Mapping[str, Any], text: str, style: str) -> str:
    return json.dumps(document, indent=2) if style == "json" else text
