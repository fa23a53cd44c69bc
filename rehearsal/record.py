"""The record of a rehearsal for reports, as JSON: its outcome, and the results of its policies, charts and cluster.

The engine's state beside it has the resources. Each rehearsal rewrites the record; a report reads only a record of its
own version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kernel.engine_events import read_events
from rehearsal.atomic_file import write_if_changed
from rehearsal.console import UserError
from rehearsal.helm.chart_policies import ChartEvaluation
from rehearsal.kubernetes.cluster import ClusterReport
from rehearsal.session import Rehearsal
from rehearsal.summary import policy_results

VERSION = 1
"""Increased when the meaning or the place of a record's content changes."""

FILE = "record.json"


def write(
    rehearsal: Rehearsal,
    logs: Mapping[str, Path],
    seconds: float,
    failures: Sequence[str],
    charts: Sequence[ChartEvaluation] = (),
    cluster: ClusterReport | None = None,
    no_cluster_reason: str = "",
) -> None:
    """Write the record of a rehearsal that has just ended.

    logs               the engine's event log of each step; that of a step that did not start does not exist
    failures           where it failed, such as `its up`; none if it passed
    no_cluster_reason  why there was no control plane; empty if there was one, or if the rehearsal ended earlier
    """
    content = {
        "version": VERSION,
        "stack": rehearsal.stack,
        "finishedAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "failures": list(failures),
        "steps": {step: asdict(policy_results(read_events(log))) for step, log in logs.items() if log.exists()},
        "charts": [_describe_chart(chart) for chart in charts],
        "cluster": asdict(cluster) if cluster else None,
        "noClusterReason": no_cluster_reason,
        "placeholders": rehearsal.placeholders(),
    }
    write_if_changed(rehearsal.folder / FILE, json.dumps(content, indent=1) + "\n")


def read(rehearsal: Rehearsal) -> Mapping[str, Any] | None:
    """The record of a stack's last rehearsal; None if it does not exist. Raises UserError if it cannot be read."""
    path = rehearsal.folder / FILE
    if not path.exists():
        return None
    remedy = f"`make rehearse STACK={rehearsal.stack}` rewrites it."
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"The record of the rehearsal, {path}, is not JSON: {error}. {remedy}") from None
    version = content.get("version") if isinstance(content, Mapping) else None
    if version != VERSION:
        raise UserError(f"The record of the rehearsal, {path}, has version {version}, not {VERSION}. {remedy}")
    found: Mapping[str, Any] = content
    return found


def _describe_chart(evaluation: ChartEvaluation) -> Mapping[str, Any]:
    """Numbers and problems only: rendered objects may contain keys that a chart has generated."""
    rendered = evaluation.rendered
    return {
        "name": evaluation.chart.short_name,
        "version": evaluation.chart.version,
        "objects": len(rendered.objects),
        "skipReason": rendered.skip_reason,
        "problems": list(rendered.problems),
        "passed": evaluation.passed,
        "failed": sorted({f"{found.object} at {found.control.id}" for found in evaluation.failed}),
        "exempt": sorted({f"{found.object} from {found.control.id}" for found in evaluation.exempt}),
    }
