"""Both stacks, rehearsed: the real engine runs the real program under the real policies against simulated clouds.

Proves that a stack comes up, that nothing changes when nothing was edited, that an edit changes what it should and no
more, that a broken policy stops a preview, that no secret lies about in plain text, and that everything can be taken
down again. What only the clouds themselves can say is not proven here: their APIs are simulated.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rehearsal.charts import VARIABLE
from rehearsal.summary import read_events, verdicts
from tests.engine.project import Project, changes, planned

pytestmark = pytest.mark.engine


Rehearsed = Callable[[str], tuple[Project, str]]


@pytest.fixture(params=["azure-dev", "aws-dev"])
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_summary_says_what_was_done(rehearsed: Rehearsed, stack: str) -> None:
    _, text = rehearsed(stack)
    for section in ("Resources by layer", "Resources by kind", "Policies", "Charts", "Outputs", "Simulated"):
        assert f"\n{section}\n" in text
    assert "0 changes" in text
    assert "kubeconfig         [secret]" in text
    assert "mlflow 1.11.5: " + ("7 objects rendered" if VARIABLE in os.environ else "") in text


def test_the_policies_judged_the_stack_and_found_nothing(rehearsed: Rehearsed, stack: str) -> None:
    project, _ = rehearsed(stack)
    said = verdicts(read_events(project.rehearsal(stack) / "up-events.jsonl"))
    assert said.failed == 0
    assert said.undecided == 0
    assert said.passed > 50


def test_a_preview_without_an_edit_changes_nothing(rehearsed: Rehearsed, stack: str) -> None:
    project, _ = rehearsed(stack)
    assert changes(project.rehearsal(stack) / "second-preview-events.jsonl") == {}
    with project.shell(stack) as pulumi:
        again = pulumi("preview", "--policy-pack", "policies", "--expect-no-changes")
        assert again.code == 0, again.text


def test_a_refresh_finds_everything_as_it_was(rehearsed: Rehearsed, stack: str) -> None:
    project, _ = rehearsed(stack)
    with project.shell(stack) as pulumi:
        refreshed = pulumi("refresh", "--yes", "--expect-no-changes")
        assert refreshed.code == 0, refreshed.text


def test_the_engines_other_commands_work(rehearsed: Rehearsed, stack: str, tmp_path: Path) -> None:
    project, _ = rehearsed(stack)
    with project.shell(stack) as pulumi:
        graph = pulumi("stack", "graph", str(tmp_path / "graph.dot"))
        assert graph.code == 0, graph.text
        outputs = pulumi("stack", "output", "--json")
        assert json.loads(outputs.text)["kubeconfig"] == "[secret]"
    assert "kube-prometheus-stack" in (tmp_path / "graph.dot").read_text()


def test_one_edited_setting_changes_just_what_it_is_about(rehearsed: Rehearsed, stack: str) -> None:
    project, _ = rehearsed(stack)
    setting = "  groundwork:cluster: {userPool: {maximum: 12}}"
    owner = "  groundwork:owner: ml-platform"
    with (
        project.edited(f"stacks/Pulumi.{stack}.yaml", owner, f"{owner}\n{setting}"),
        project.shell(stack) as pulumi,
    ):
        preview = pulumi("preview", "--json")
    assert planned(preview.text) == {"cluster-user": "update"}


SECRET_MARK = "4dabf18193072939515e22adb298388d"


def secret_values(value: Any) -> Iterator[str]:
    """Every secret string in a state exported with its secrets shown."""
    if isinstance(value, dict):
        if SECRET_MARK in value and "plaintext" in value:
            yield from plain_strings(json.loads(value["plaintext"]))
        else:
            for item in value.values():
                yield from secret_values(item)
    elif isinstance(value, list):
        for item in value:
            yield from secret_values(item)


def plain_strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from plain_strings(item)


def test_no_secret_is_anywhere_in_plain_text(rehearsed: Rehearsed, stack: str) -> None:
    project, text = rehearsed(stack)
    with project.shell(stack) as pulumi:
        shown = json.loads(pulumi("stack", "export", "--show-secrets").text)
    # Short strings (a user's name, "true") are no secrets and occur by chance.
    secrets = {value for value in secret_values(shown) if len(value) >= 16}
    assert len(secrets) >= 3  # database, Grafana, kubeconfig
    places = {path: path.read_bytes() for path in project.rehearsal(stack).rglob("*") if path.is_file()}
    places[Path("what was printed")] = text.encode()
    assert any(b"kube-prometheus-stack" in content for content in places.values())
    found = [str(path) for path, content in places.items() for secret in secrets if secret.encode() in content]
    assert found == []


@pytest.mark.parametrize(
    ("stack", "file", "old", "new", "control"),
    [
        (
            "azure-dev",
            "infra/azure/registry.py",
            'public_network_access="Disabled"',
            'public_network_access="Enabled"',
            "azure-acr-public-network",
        ),
        (
            "aws-dev",
            "infra/aws/registry.py",
            'image_tag_mutability="IMMUTABLE"',
            'image_tag_mutability="MUTABLE"',
            "aws-ecr-immutable-tags",
        ),
    ],
)
def test_a_preview_that_breaks_a_policy_fails_and_says_how_to_mend_it(
    rehearsed: Rehearsed, stack: str, file: str, old: str, new: str, control: str
) -> None:
    project, _ = rehearsed(stack)
    with project.edited(file, old, new), project.shell(stack) as pulumi:
        preview = pulumi("preview", "--policy-pack", "policies")
    assert preview.code != 0
    lines = preview.text.splitlines()
    found = [" ".join(lines[at : at + 3]) for at, line in enumerate(lines) if f"  {control}  " in line]
    assert found
    assert all("registry" in said and "Remedy: " in said for said in found)


@pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no folder with the charts' packages")
def test_a_preview_with_values_that_a_chart_refuses_fails(rehearsed: Rehearsed) -> None:
    # On a first preview nobody asks: the engine does not call a provider whose kubeconfig it does not know.
    project, _ = rehearsed("azure-dev")
    old, new = '"replicaCount": 2 if production else 1', '"replicaCount": "one"'
    with project.edited("infra/cluster/mlflow.py", old, new), project.shell("azure-dev") as pulumi:
        preview = pulumi("preview")
    assert preview.code != 0
    assert "replicaCount: 'one' is not of type 'integer'" in preview.text


# Settings of the whole account outlive a stack: on AWS, that block storage is encrypted.
OUTLIVES = {"azure-dev": set(), "aws-dev": {"aws:ebs/encryptionByDefault:EncryptionByDefault"}}


def test_at_last_destroy_takes_everything_down(rehearsed: Rehearsed, stack: str) -> None:
    project, _ = rehearsed(stack)
    destroyed = project.rehearse("destroy", stack)
    assert destroyed.code == 0, destroyed.text
    journal = project.journal(stack)
    created = Counter(type_ for operation, type_, _ in journal if operation == "create")
    deleted = Counter(type_ for operation, type_, outcome in journal if (operation, outcome) == ("delete", "done"))
    assert set(created - deleted) == OUTLIVES[stack]
    # In the cluster, what runs goes before the namespace that it runs in.
    order = [type_ for operation, type_, _ in journal if operation == "delete"]
    releases = [at for at, type_ in enumerate(order) if type_ == "kubernetes:helm.sh/v3:Release"]
    assert max(releases) < order.index("kubernetes:core/v1:Namespace")
