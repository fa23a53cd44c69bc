"""Makes the models' pods run processes: all that a scenario's GitOps repository has beside the project's folder."""

from __future__ import annotations

from pathlib import Path

import yaml

from rehearsal.gitops_repository import GitOpsRepository
from rehearsal.scenarios.kubelet_stub import PROCESS_ANNOTATION


def commit_annotation(repository: GitOpsRepository, stack: str) -> None:
    """Make kwok leave the pods of the stack's models to the kubelet stub."""
    repository.commit(
        lambda clone: _annotate(clone / "stacks" / stack / "kustomization.yaml"),
        "Rehearse: run the processes of the models' pods for real",
    )


def _annotate(file: Path) -> None:
    kustomization = yaml.safe_load(file.read_text())
    path = "/spec/predictor/annotations/" + PROCESS_ANNOTATION.replace("/", "~1")
    patch = [{"op": "add", "path": path, "value": "real"}]
    kustomization.setdefault("patches", []).append(
        {"target": {"kind": "InferenceService"}, "patch": yaml.safe_dump(patch, sort_keys=False)}
    )
    file.write_text(yaml.safe_dump(kustomization, sort_keys=False))
