"""The folder of a stack in the GitOps repository. What promotions write into it is proven in tests/promotion."""

from __future__ import annotations

import pytest

from lifecycle.gitops.git import RepositoryError
from lifecycle.gitops.model_folder import edit_stack
from lifecycle.gitops.settings import GitopsSettings


class Files:
    """A repository with one file, of the stack azure-qa."""

    def read(self, path: str) -> str | None:
        return (
            "resources: []\ncomponents: [../../overlays/dev]\n"
            if path == "stacks/azure-qa/kustomization.yaml"
            else None
        )


def test_a_model_is_added_to_its_stack_beside_what_else_is_there() -> None:
    (edit,) = edit_stack(Files(), GitopsSettings(repository=".", stack="azure-qa"), "wine", present=True).items()
    assert edit == ("stacks/azure-qa/kustomization.yaml", "resources:\n- wine\ncomponents:\n- ../../overlays/dev\n")


def test_a_stack_without_a_folder_is_an_error_that_names_it() -> None:
    with pytest.raises(
        RepositoryError, match=r"stacks/azure-qu/kustomization.yaml is not in the repository.*GITOPS_STACK"
    ):
        edit_stack(Files(), GitopsSettings(repository=".", stack="azure-qu"), "wine", present=True)
