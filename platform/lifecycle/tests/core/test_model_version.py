"""A model version's names in Kubernetes, in git and in MLflow are the same facts."""

from __future__ import annotations

from lifecycle.core import Lineage, ModelVersion

VERSION = ModelVersion("wine", "3", Lineage("run-1", "data-7", "c0ffee"))


def test_annotations_contain_the_lineage_and_are_read_back() -> None:
    assert VERSION.annotations == {
        "groundwork.dev/model": "wine",
        "groundwork.dev/version": "3",
        "groundwork.dev/run-id": "run-1",
        "groundwork.dev/data-version": "data-7",
        "groundwork.dev/git-commit": "c0ffee",
    }
    assert ModelVersion.from_annotations(VERSION.annotations) == VERSION


def test_trailers_have_the_same_facts() -> None:
    assert VERSION.trailers == {
        "Groundwork-Model": "wine",
        "Groundwork-Version": "3",
        "Groundwork-Run-Id": "run-1",
        "Groundwork-Data-Version": "data-7",
        "Groundwork-Git-Commit": "c0ffee",
    }


def test_unknown_lineage_is_left_out() -> None:
    version = ModelVersion("wine", "3")
    assert set(version.annotations) == {"groundwork.dev/model", "groundwork.dev/version"}
    assert ModelVersion.from_annotations(version.annotations) == version
    assert (str(version), version.uri) == ("wine version 3", "models:/wine/3")
