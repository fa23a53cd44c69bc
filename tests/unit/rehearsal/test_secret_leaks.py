"""The files and output of a rehearsal's command are searched for generated secrets.

Proves which files and texts are searched, and how leaks are reported, with a folder written by hand.
tests/engine/test_secret_canaries.py proves it with the real engine and a program that leaks.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rehearsal import secret_leaks
from rehearsal.gitops_repository import GitOpsRepository
from rehearsal.helm.chart_policies import ChartEvaluation
from rehearsal.helm.charts import Chart
from rehearsal.helm.rendering import RenderedRelease
from rehearsal.project import Project
from rehearsal.secret_leaks import describe_charts, find_leaks, find_leaks_in_text
from rehearsal.session import Rehearsal

PASSWORD = "Abcdefgh12345678"
OWNER = "the result of RandomPassword db"


@pytest.fixture
def rehearsal(tmp_path: Path) -> Rehearsal:
    (tmp_path / "Pulumi.test.yaml").touch()
    rehearsal = Rehearsal("test", project=Project(tmp_path, "shop", tmp_path))
    rehearsal.folder.mkdir(parents=True)
    rehearsal.canaries.add(PASSWORD, OWNER)
    return rehearsal


@pytest.mark.parametrize(
    "file",
    [
        "up-events.jsonl",
        "record.json",
        "state.db",
        "workspace/Pulumi.test.yaml",
        "backend/.pulumi/stacks/shop/test.json",
        "cluster/logs/kube-apiserver.log",
        "cluster/etcd/member/snap/db",
        "cluster/controllers/argocd-repo-server/values.yaml",
    ],
)
def test_a_file_of_the_folder_is_named(rehearsal: Rehearsal, file: str) -> None:
    path = rehearsal.folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"password: {PASSWORD}")
    leak, remedy = find_leaks(rehearsal)
    assert leak == f"{file} contains {OWNER}, in plain text"
    assert remedy.startswith("Remedy: ")
    assert "make rehearse-reset STACK=test" in remedy


@pytest.mark.parametrize("file", ["backend/.pulumi/history/x.json", "backend/.pulumi/stacks/x.json.bak"])
def test_the_engines_copies_of_earlier_states_are_not_searched(rehearsal: Rehearsal, file: str) -> None:
    path = rehearsal.folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PASSWORD)
    assert find_leaks(rehearsal) == []


@pytest.mark.process
def test_compressed_objects_of_the_repository_are_read(rehearsal: Rehearsal, tmp_path: Path) -> None:
    source = tmp_path / "gitops"
    source.mkdir()
    (source / "values.yaml").write_text(f"password: {PASSWORD}\n")
    GitOpsRepository.create(rehearsal.files.gitops, source)
    (source / "values.yaml").write_text("password: none\n")
    GitOpsRepository.create(rehearsal.files.gitops, source)
    assert find_leaks(rehearsal)[0] == f"the GitOps repository contains {OWNER}, in plain text"
    count = ["git", "-C", str(rehearsal.files.gitops), "rev-list", "--count", "main"]
    assert subprocess.run(count, capture_output=True, text=True, check=True).stdout == "2\n"


def test_texts_and_rendered_charts_are_searched(rehearsal: Rehearsal) -> None:
    chart = Chart("web", "1.0.0", "https://charts.example.com")
    config_map = {"kind": "ConfigMap", "data": {"url": f"postgresql://web:{PASSWORD}@db"}}
    evaluation = ChartEvaluation(chart, RenderedRelease(objects=[config_map]))
    texts = {"the export": PASSWORD, **describe_charts([evaluation])}
    assert find_leaks(rehearsal, texts)[:-1] == [
        f"the export contains {OWNER}, in plain text",
        f"the rendered chart web contains {OWNER}, in plain text",
    ]
    assert find_leaks_in_text(rehearsal, "the summary", PASSWORD)[0] == f"the summary contains {OWNER}, in plain text"


def test_a_place_with_several_leaks_is_reported_once(rehearsal: Rehearsal) -> None:
    (rehearsal.folder / "log").write_text(f"{PASSWORD} {PASSWORD} QWJjZGVmZ2gxMjM0NTY3OA==")
    assert find_leaks(rehearsal)[:-1] == [f"log contains {OWNER}, in plain text"]


def test_without_secrets_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Pulumi.test.yaml").touch()
    monkeypatch.setattr(secret_leaks, "_list_files", lambda _: pytest.fail("read"))
    assert find_leaks(Rehearsal("test", project=Project(tmp_path, "shop", tmp_path))) == []
