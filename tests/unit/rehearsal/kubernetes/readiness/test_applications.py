"""The problems of an Argo CD Application that is not Synced and Healthy.

Proves this for statuses in Argo CD 3.4's format; that Argo CD writes them is proven in tests/cluster.
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

    def __init__(self, status: Any, **rest: Any) -> None:
        self._fields = {"status": status, **rest}

    def list(self, *_: str) -> list[Any]:
        metadata = {"namespace": "argocd", "name": "models"}
        return [{"kind": "Application", "metadata": metadata, **self._fields}]


def explain(status: Any, **rest: Any) -> list[str]:
    found = find_unsynced(cast("Snapshot", _OneApplication(status, **rest)), "no reason yet")
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
    "error",
    [
        # A host that does not answer, a host without this repository, and the rehearsal's own server.
        'failed to list refs: Get "https://git.example.org/m.git/info/refs": dial tcp: no such host',
        "failed to list refs: repository not found: Repository not found.",
        "failed to list refs: the rehearsal serves no git repository of git.example.org",
    ],
)
def test_an_unreachable_repository_is_named_with_its_setting(error: str) -> None:
    source = {"repoURL": "https://git.example.org/m.git", "targetRevision": "main", "path": "stacks/azure-dev"}
    status = {"conditions": [{"type": "ComparisonError", "message": f"Failed to load target state:\n{error}"}]}
    assert explain(status, spec={"source": source}) == [
        "Application argocd/models: source https://git.example.org/m.git (main, stacks/azure-dev): "
        f"Failed to load target state: {error.rstrip('.')}. Remedy: The cluster does not reach "
        "groundwork:gitops.repository = 'https://git.example.org/m.git': correct the URL, or create the repository and "
        "let the cluster's network resolve and reach its host."
    ]


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
def test_a_synced_one_or_one_whose_applications_have_their_own_problems_is_not_a_problem(status: Any) -> None:
    assert explain(status) == []


@pytest.mark.parametrize(("host", "is_foreign"), [("github.com", True), ("git.example.com", False)])
def test_other_repositories_are_a_note_not_a_problem(host: str, is_foreign: bool) -> None:
    message = f'Get "https://{host}/a/b?ref=c": the rehearsal serves no git repository of {host}\': failed to run git'
    status = {"conditions": [{"type": "ComparisonError", "message": message}]}
    spec = {"source": {"repoURL": "https://git.example.com/acme/models.git"}}
    notes = list_unreachable(cast("Snapshot", _OneApplication(status, spec=spec)))
    assert bool(explain(status, spec=spec)) is not is_foreign
    assert notes == (
        ["Application argocd/models: not rehearsed, because its manifests refer to repositories of github.com"]
        if is_foreign
        else []
    )
