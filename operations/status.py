"""Describes a deployed stack: the engine's last update, its outputs, nodes, workloads and the newest backup."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from deploy.errors import DeployError
from deploy.findings import Finding, missing, note, ok
from kernel.paths import look_up
from operations import backup, health
from operations.target import Target

_OUTPUTS = ("cluster", "registry", "artifacts", "trackingDatabase", "secrets", "domain")


def describe(target: Target) -> list[Finding]:
    """Raises DeployError if the engine does not answer."""
    findings = list(_describe_engine(target))
    api = health.check_api(target)
    findings.append(api)
    if not api.remedy:
        findings += _describe_cluster(target)
    return [*findings, _describe_backup(target)]


def _describe_engine(target: Target) -> Iterator[Finding]:
    state = json.loads(backup.export_state(target)).get("deployment") or {}
    resources = state.get("resources") or []
    if not resources:
        yield missing("stack", "nothing of it is deployed", f"`make up STACK={target.name}`")
        return
    times = [each["modified"] for each in resources if "modified" in each]
    yield ok("stack", f"{len(resources)} resources, the last changed at {max(times, default='an unknown time')}")
    if pending := state.get("pending_operations"):
        yield missing(
            "engine", f"{len(pending)} operations were interrupted", "see platform/runbooks/failed-deployment.md"
        )
    for name in _OUTPUTS:
        if name in target.outputs:
            yield ok(name, str(target.outputs[name]))


def _describe_cluster(target: Target) -> Iterator[Finding]:
    nodes = target.list_objects("nodes")
    pools = Counter(str(look_up(node, 'metadata.labels["groundwork/pool"]', "none")) for node in nodes)
    yield ok("nodes", ", ".join(f"{count} in pool {pool}" for pool, count in sorted(pools.items())) or "none")
    phases = Counter(str(look_up(pod, "status.phase", "Unknown")) for pod in target.list_objects("pods"))
    yield ok("pods", ", ".join(f"{count} {phase}" for phase, count in sorted(phases.items())) or "none")
    models = target.list_objects("inferenceservices.serving.kserve.io")
    yield ok("models", ", ".join(sorted(each["metadata"]["name"] for each in models)) or "none is served")


def _describe_backup(target: Target) -> Finding:
    try:
        newest = backup.find_newest(backup.find_store(target))
    except DeployError as error:
        return note("backup", str(error))
    if newest is None:
        return note("backup", "there is none", f"`make backup STACK={target.name}`")
    age = datetime.now(UTC) - newest.time
    return ok("backup", f"the newest is {newest.name}, {age.total_seconds() / 60:.0f} min old")
