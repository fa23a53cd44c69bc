"""A model's folder: the files that promotions and rollouts write, and that people's settings persist with precedence.

The manifests are rendered from the repository's own base and overlays. Commits of promotions are proven in
tests/promotion.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lifecycle.core import ModelVersion
from lifecycle.gitops.git import InvalidFileError, RepositoryError
from lifecycle.gitops.manifests import set_entry
from lifecycle.gitops.model_folder import (
    ModelFolder,
    edit_folder,
    edit_stack,
    list_models_with_challenger,
    read_folder,
)
from lifecycle.gitops.settings import GitopsSettings

SETTINGS = GitopsSettings(repository=".", stack="dev")
GITOPS = Path(__file__).parents[3] / "gitops"
STACK = """\
# The models of größere Umgebungen
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: []  # none yet
components:
# people's remark
- ../../overlays/dev  # the overlay
patches: []
"""


class Files(dict[str, str]):
    """A repository."""

    def read(self, path: str) -> str | None:
        return self.get(path)

    def declare(self, *versions: str) -> None:
        """Declare a champion, and a challenger beside it."""
        roles = dict(zip(("champion", "challenger"), versions, strict=False))
        models = {role: ModelVersion("wine", version) for role, version in roles.items()}
        weights = {"champion": 90, "challenger": 10} if len(roles) == 2 else {"champion": 100}
        self.apply(edit_folder(self, SETTINGS, ModelFolder("wine", models, weights)))

    def apply(self, edits: Mapping[str, str | None]) -> None:
        for path, text in edits.items():
            if text is None:
                self.pop(path, None)
            else:
                self[path] = text


@pytest.fixture
def files() -> Files:
    return Files({"stacks/dev/kustomization.yaml": STACK})


def test_a_model_is_added_to_its_stack_whose_other_lines_stay(files: Files) -> None:
    files.declare("1")
    added = STACK.replace("resources: []  # none yet", "resources:\n- wine/generated")
    added = added.replace("# the overlay\n", "# the overlay\n- wine\n")
    assert files["stacks/dev/kustomization.yaml"] == added
    files.declare("1", "2")
    assert files["stacks/dev/kustomization.yaml"] == added
    files.apply(edit_stack(files, SETTINGS, "wine", present=False))
    assert files["stacks/dev/kustomization.yaml"] == STACK.replace("  # none yet", "")


def test_peoples_settings_survive_any_declared_state(files: Files) -> None:
    files.declare("1")
    own = "stacks/dev/wine/kustomization.yaml"
    assert own in files
    edited = files[own] + "# a person's\n"
    files[own] = edited
    for versions in (("1", "2"), ("2", "2"), ("2",), ("2", "3")):
        files.declare(*versions)
        assert files[own] == edited
        assert set(read_folder(files, SETTINGS, "wine").versions) == set(("champion", "challenger")[: len(versions)])


@pytest.mark.parametrize(
    "text",
    ["", "a: 1", "resources:\n", "resources: [a, b]\nx: 1\n", "x: 1\nresources:\n  - a\n  - b", "resources:\n- ä\n"],
)
def test_an_entry_is_added_and_removed_in_any_style(text: str) -> None:
    before = (yaml.safe_load(text) or {}).get("resources") or []
    added = set_entry(text, "resources", "wine", present=True)
    assert yaml.safe_load(added)["resources"] == [*before, "wine"]
    assert set_entry(added, "resources", "wine", present=True) == added
    assert yaml.safe_load(set_entry(added, "resources", "wine", present=False))["resources"] == before


@pytest.mark.process
def test_settings_of_a_model_take_precedence_over_the_overlay_and_affect_no_other_model(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl, which renders, is not on PATH")
    files = Files({"stacks/dev/kustomization.yaml": STACK.replace("patches: []\n", "")})
    files.declare("1", "2")
    example = [line[2:] for line in files["stacks/dev/wine/kustomization.yaml"].splitlines() if line.startswith("#   ")]
    settings = files["stacks/dev/wine/kustomization.yaml"].replace("patches: []", "patches:\n" + "\n".join(example))
    for text, replicas, cpu in ((files["stacks/dev/wine/kustomization.yaml"], 2, "250m"), (settings, 5, "1")):
        services = render({**files, "stacks/dev/wine/kustomization.yaml": text}, tmp_path / str(replicas))
        assert [service["minReplicas"] for service in services] == [replicas] * 2
        assert [service["containers"][0]["resources"]["requests"]["cpu"] for service in services] == [cpu] * 2


def render(files: Mapping[str, str], folder: Path) -> list[dict[str, Any]]:
    """The predictors that Argo CD would apply."""
    shutil.copytree(GITOPS, folder)
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    command = ["kubectl", "kustomize", str(folder / "stacks" / "dev")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    manifests = [each for each in yaml.safe_load_all(output) if each["kind"] == "InferenceService"]
    return [manifest["spec"]["predictor"] for manifest in manifests]


def test_files_of_a_former_version_are_named(files: Files) -> None:
    files["stacks/dev/wine/route.yaml"] = "a route"
    with pytest.raises(InvalidFileError, match=r"stacks/dev/wine/route.yaml was written by a former version"):
        files.declare("1")


@pytest.mark.parametrize("role", ["champion", "challenger"])
def test_a_manifest_copied_from_another_model_is_named_and_affects_no_other_model(files: Files, role: str) -> None:
    files.declare("1", "2")
    beer = {"champion": ModelVersion("beer", "1"), "challenger": ModelVersion("beer", "2")}
    weights = {"champion": 90, "challenger": 10}
    files.apply(edit_folder(files, SETTINGS, ModelFolder("beer", beer, weights)))
    files[f"stacks/dev/wine/generated/{role}.yaml"] = files[f"stacks/dev/beer/generated/{role}.yaml"]
    with pytest.raises(InvalidFileError, match=r"stacks/dev/wine/generated .*it declares versions of 'beer'.*correct"):
        read_folder(files, SETTINGS, "wine")
    assert read_folder(files, SETTINGS, "beer").versions == beer
    assert list_models_with_challenger(files, SETTINGS) == {"wine", "beer"}, "its own rollout reports the problem"


def test_a_stack_without_a_folder_is_an_error_that_names_it(files: Files) -> None:
    with pytest.raises(
        RepositoryError, match=r"stacks/azure-qu/kustomization.yaml is not in the repository.*GITOPS_STACK"
    ):
        edit_stack(files, GitopsSettings(repository=".", stack="azure-qu"), "wine", present=True)
