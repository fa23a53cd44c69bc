"""Tests that every running stack has to pass; several files run them, each on its own stack.

StackContract concerns the results of bringing the stack up; ServedStackContract also runs the engine on it, whose
behavior does not depend on the cloud. Each test leaves the stack as it found it.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest

from infra.cluster.namespaces import MODEL_PROFILES, PROFILES, SERVICE_PROFILES
from kernel.deployed_settings import find_deployed_settings
from kernel.engine_events import read_events
from rehearsal.helm.charts import FOLDER_VARIABLE
from rehearsal.simulator.core.state_store import StateStore
from rehearsal.summary import policy_results
from tests.support.project import Stack, changes, planned
from tests.support.rehearsed_stacks import find_obstacle_to_guard

# Deleted with their vault: only its data plane could delete them, which the deploying machine may not reach.
REMAINING_ON_AZURE = {"azure-native:keyvault:Key", "azure-native:keyvault:Secret"}
# Azure creates them with the first network of a region, for the whole subscription.
CREATED_BY_AZURE = {"azure-native:network:NetworkWatcher", "azure-native:resources:ResourceGroup"}


class StackContract:
    """Tests of the fixture `stack`, as it was brought up."""

    def test_the_summary_says_what_was_done(self, stack: Stack) -> None:
        for section in ("Resources by layer", "Resources by kind", "Policies", "Charts", "Outputs", "Simulated"):
            assert f"\n{section}\n" in stack.output
        assert "0 changes" in stack.output
        assert "kubeconfig         [secret]" in stack.output
        assert "mlflow 1.11.5: " + ("7 objects rendered" if FOLDER_VARIABLE in os.environ else "") in stack.output

    def test_the_policies_were_evaluated_and_found_nothing(self, stack: Stack) -> None:
        results = policy_results(read_events(stack.events("up")))
        assert results.failed == 0
        assert results.undecided == 0
        assert results.passed > 50

    def test_no_request_left_this_machine(self, stack: Stack) -> None:
        if stack.attempts is None:
            pytest.skip(find_obstacle_to_guard())
        assert stack.attempts == 0

    def test_a_preview_without_an_edit_changes_nothing(self, stack: Stack) -> None:
        assert changes(stack.events("second-preview")) == {}

    def test_no_secret_is_in_plain_text(self, stack: Stack) -> None:
        assert_no_secret_in_plain_text(stack)


class ServedStackContract(StackContract):
    """Tests that run the engine on the stack while its clouds are served."""

    # An edit that breaks a policy: file, old text, new text, the control.
    POLICY_BREAK: ClassVar[tuple[str, str, str, str]]
    # The resources of which the user pool's maximum is a property.
    CHANGED_BY_MAXIMUM: ClassVar[Collection[str]]

    def test_a_refresh_finds_everything_as_it_was(self, stack: Stack) -> None:
        refreshed = stack.pulumi("refresh", "--yes", "--expect-no-changes")
        assert refreshed.returncode == 0, refreshed.output

    def test_the_engines_other_commands_work(self, stack: Stack, tmp_path: Path) -> None:
        graph = stack.pulumi("stack", "graph", str(tmp_path / "graph.dot"))
        assert graph.returncode == 0, graph.output
        outputs = stack.pulumi("stack", "output", "--json")
        assert json.loads(outputs.output)["kubeconfig"] == "[secret]"
        assert "settings" not in json.loads(outputs.output)
        assert "kube-prometheus-stack" in (tmp_path / "graph.dot").read_text()

    def test_the_state_keeps_the_settings_for_the_next_deployment(self, stack: Stack) -> None:
        exported = stack.pulumi("stack", "export")
        settings = find_deployed_settings(json.loads(exported.output)["deployment"]["resources"])
        assert settings is not None
        assert settings["environment"] == "dev"
        assert settings["cluster"]["userPool"]["minimum"]

    def test_one_edited_setting_changes_just_what_it_is_about(self, stack: Stack) -> None:
        maximum = "groundwork:cluster:\n    userPool: {maximum: 12}"
        with stack.project.edited(f"stacks/Pulumi.{stack.name}.yaml", "groundwork:cluster:", maximum):
            preview = stack.pulumi("preview", "--json")
        assert planned(preview.output) == dict.fromkeys(self.CHANGED_BY_MAXIMUM, "update")

    def test_a_preview_that_breaks_a_policy_fails_and_names_the_remedy(self, stack: Stack) -> None:
        file, old, new, control = self.POLICY_BREAK
        with stack.project.edited(file, old, new):
            preview = stack.pulumi("preview")  # under the project's policies, like `make rehearse`
        assert preview.returncode != 0
        lines = preview.output.splitlines()
        messages = [" ".join(lines[at : at + 3]) for at, line in enumerate(lines) if f"  {control}  " in line]
        assert messages
        assert all("registry" in text and "Remedy: " in text for text in messages)


def assert_no_secret_in_plain_text(stack: Stack) -> None:
    """Assert that no file of the rehearsal has a secret of the stack's state, nor has what its command printed."""
    stack.stop_serving()  # so that no file is created or deleted while all are read
    shown = stack.read_state_with_secrets()
    # Short strings (a user's name, "true") are not secrets and occur by chance.
    secrets = {value for value in _secret_values(shown) if len(value) >= 16}
    assert len(secrets) >= 3  # database, Grafana, kubeconfig
    folder = stack.project.rehearsal(stack.name)
    places = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    places[Path("output of the command")] = stack.output.encode()
    assert any(b"kube-prometheus-stack" in content for content in places.values())
    leaks = [str(path) for path, content in places.items() for secret in secrets if secret.encode() in content]
    assert leaks == []


def assert_destroyed(stack: Stack, remaining: Collection[str], by_products: Collection[str] = ()) -> None:
    """Destroy the stack, and assert that only resources of these types, and those that the cloud created, remain."""
    destroyed = stack.rehearse("destroy")
    assert destroyed.returncode == 0, destroyed.output
    with closing(StateStore(stack.project.rehearsal(stack.name) / "state.db")) as state:
        assert {record.type for record in state.all()} == {*remaining, *by_products}
        deleted = [each.urn.rpartition("$")[2] for each in state.read_journal() if each.operation == "delete"]
    journal = stack.journal()
    done = Counter((operation, type_) for operation, type_, outcome in journal if outcome == "done")
    types = {type_ for _, type_, _ in journal}
    assert {type_ for type_ in types if done["create", type_] > done["delete", type_]} == set(remaining)
    # Objects are deleted before their controllers, and controllers before the namespaces that they run in.
    releases = [at for at, name in enumerate(deleted) if name.startswith("kubernetes:helm.sh/v3:Release::")]
    namespaces = {name: deleted.index(f"kubernetes:core/v1:Namespace::{name}") for name in PROFILES}
    assert max(namespaces[name] for name in MODEL_PROFILES) < min(releases)
    assert max(releases) < min(namespaces[name] for name in SERVICE_PROFILES)


_SECRET_MARK = "4dabf18193072939515e22adb298388d"


def _secret_values(value: Any) -> Iterator[str]:
    """Every secret string in a state exported with its secrets shown."""
    if isinstance(value, dict):
        if _SECRET_MARK in value and "plaintext" in value:
            yield from _plain_strings(json.loads(value["plaintext"]))
        else:
            for item in value.values():
                yield from _secret_values(item)
    elif isinstance(value, list):
        for item in value:
            yield from _secret_values(item)


def _plain_strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _plain_strings(item)
