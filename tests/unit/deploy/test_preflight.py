"""A preflight rejects the placeholder digest of rehearsals. test_commands proves the consequences."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from deploy.findings import render
from deploy.preflight import PLACEHOLDER_DIGEST, check_images
from deploy.stack import Stack
from tests.support.recording import stack_context


class _Stack:
    def __init__(self, digest: str, name: str = "promotion") -> None:
        self.settings = stack_context("azure", images={name: digest}).settings


@pytest.mark.parametrize("name", ["promotion", "experiment", "drift", "training"])
def test_a_placeholder_is_rejected(name: str) -> None:
    text = render(list(check_images(cast("Stack", _Stack(PLACEHOLDER_DIGEST, name)))))
    assert f"groundwork:images.{name} is a placeholder, which no registry has" in text
    assert "Remedy: set the digest of your image, or remove the setting" in text


@pytest.mark.parametrize("digest", ["", f"sha256:{'a' * 64}"])
def test_a_real_or_missing_digest_is_accepted(digest: str) -> None:
    assert list(check_images(cast("Stack", _Stack(digest)))) == []


def test_the_placeholder_is_the_shipped_stacks_digest() -> None:
    for file in Path("stacks").glob("Pulumi.*.yaml"):
        for name in ("promotion", "experiment", "drift", "training"):
            assert f"{name}: {PLACEHOLDER_DIGEST}" in file.read_text()
