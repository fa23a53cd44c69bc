"""What is said of an Argo CD Application that is not Synced and Healthy.

Proves it for statuses in the form that Argo CD 3.4 writes; that it does write them is proven in tests/cluster.
"""

from __future__ import annotations

from typing import Any, cast

import pytest

from rehearsal.kubernetes.readiness.applications import find_unsynced, list_unreachable
from rehearsal.kubernetes.readiness.snapshot import Snapshot

_SYNCED = {"sync": {"status": "Synced"}}
_CHILD = {"kind": "Application", "name": "models", "health": {"status": "Degraded"}}
_BROKEN = {"kind": "InferenceService", "name": "wine", "health": {"status": "Degraded", "message": "no\n pods"}}


class _OneApplication:
    """A snapshot with one Application."""

    def __init__(self, status: Any) -> None:
        self._status = status

    def list(self, *_: str) -> list[Any]:
        metadata = {"namespace": "argocd", "name": "models"}
        spec = {"source": {"repoURL": "https://git.example.com/acme/models.git"}}
        return [{"kind": "Application", "metadata": metadata, "spec": spec, "status": self._status}]


def explain(status: Any) -> list[str]:
    found = find_unsynced(cast("Snapshot", _OneApplication(status)), "no reason yet")
    return [problem.message for _, problem in found]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ({}, "not synced: no reason yet."),
        ({"sync": {"status": "OutOfSync"}, "operationState": {"phase": "Running"}}, "not synced: no reason yet."),
        (
            {"sync": {"status": "OutOfSync"}, "operationState": {"phase": "Failed", "message": "denied\nby it"}},
            "not synced: denied by it.",
        ),
        ({**_SYNCED, "health": {"status": "Progressing"}}, "Progressing: no reason yet."),
        (
            {**_SYNCED, "health": {"status": "Degraded"}, "resources": [_BROKEN]},
            "Degraded: InferenceService wine is Degraded (no pods).",
        ),
        (
            {"conditions": [{"type": "ComparisonError", "message": "stacks/x: app path does not exist"}]},
            "stacks/x: app path does not exist. Remedy: Add the stack's folder to the GitOps repository",
        ),
        (
            {"conditions": [{"type": "ComparisonError", "message": "unable to resolve 'next' to a commit SHA"}]},
            "Remedy: The GitOps repository has no next: correct groundwork:gitops.revision.",
        ),
    ],
)
def test_an_application_that_is_not_synced_and_healthy_is_a_problem(status: Any, message: str) -> None:
    (found,) = explain(status)
    assert found.startswith("Application argocd/models: ")
    assert message in found


@pytest.mark.parametrize(
    "status",
    [
        {**_SYNCED, "health": {"status": "Healthy"}},
        {**_SYNCED, "health": {"status": "Suspended"}},
        {**_SYNCED, "health": {"status": "Degraded"}, "resources": [_CHILD]},
        {
            **_SYNCED,
            "health": {"status": "Healthy"},
            "conditions": [{"type": "OrphanedResourceWarning", "message": "2 orphans"}],
        },
    ],
)
def test_one_that_is_or_whose_applications_have_problems_of_their_own_is_none(status: Any) -> None:
    assert explain(status) == []


@pytest.mark.parametrize(("host", "is_foreign"), [("github.com", True), ("git.example.com", False)])
def test_repositories_beyond_its_own_are_a_note_and_no_problem(host: str, is_foreign: bool) -> None:
    message = f'Get "https://{host}/a/b?ref=c": the rehearsal serves no git repository of {host}\': failed to run git'
    status = {"conditions": [{"type": "ComparisonError", "message": message}]}
    notes = list_unreachable(cast("Snapshot", _OneApplication(status)))
    assert bool(explain(status)) is not is_foreign
    assert notes == (
        ["Application argocd/models: not rehearsed, because its manifests refer to repositories of github.com"]
        if is_foreign
        else []
    )
