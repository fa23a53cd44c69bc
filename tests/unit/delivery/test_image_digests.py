"""Digests in a stack's file: the settings change, and no other line does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from delivery.errors import DeliveryError
from delivery.image_digests import IMAGES, write_digests
from deploy.programs import ROOT
from infra.core import stack_config
from infra.core.settings.service_sections import ImageSettings
from kernel import stack_file

NEW = f"sha256:{'a' * 64}"
STACKS = sorted((ROOT / "stacks").glob("Pulumi.*.yaml"))


def test_all_images_with_a_setting_can_be_written() -> None:
    assert set(IMAGES) == set(ImageSettings.model_fields) - {"registries"}


@pytest.mark.parametrize("file", STACKS, ids=lambda path: path.name)
def test_only_the_digests_of_a_shipped_stack_change(tmp_path: Path, file: Path) -> None:
    copy = Path(shutil.copy(file, tmp_path))
    write_digests(copy, dict.fromkeys(IMAGES, NEW))
    images = stack_file.read(copy, stack_config.NAMESPACE).config["groundwork:images"]
    assert {name: images[name] for name in IMAGES} == dict.fromkeys(IMAGES, NEW)
    expected = [line for line in file.read_text().splitlines() if "sha256:" not in line]
    assert [line for line in copy.read_text().splitlines() if "sha256:" not in line] == expected


def test_an_image_without_a_line_gets_one_at_the_sections_end(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.a.yaml"
    file.write_text(f"config:\n  groundwork:images:\n    drift: {NEW}\n  groundwork:owner: ml\n")
    write_digests(file, {"promotion": NEW})
    assert file.read_text() == (
        f"config:\n  groundwork:images:\n    drift: {NEW}\n    promotion: {NEW}\n  groundwork:owner: ml\n"
    )


@pytest.mark.parametrize(
    ("text", "digests", "message"),
    [
        ("config:\n  groundwork:owner: ml\n", {"drift": NEW}, "has no section groundwork:images"),
        ("config:\n  groundwork:images:\n    drift: x\n", {"drift": "latest"}, "The digest of drift is 'latest'"),
        ("config:\n  groundwork:images:\n    drift: x\n", {"serving": NEW}, "no setting for an image 'serving'"),
    ],
)
def test_a_file_that_cannot_be_changed_is_rejected(
    tmp_path: Path, text: str, digests: dict[str, str], message: str
) -> None:
    file = tmp_path / "Pulumi.a.yaml"
    file.write_text(text)
    with pytest.raises(DeliveryError, match=message):
        write_digests(file, digests)
    assert file.read_text() == text
