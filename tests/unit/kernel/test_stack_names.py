"""The list of stacks, and the message about a stack that does not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.stack_names import describe_unknown_stack, list_stacks


def test_stacks_are_listed_from_their_files(tmp_path: Path) -> None:
    for name in ("Pulumi.yaml", "Pulumi.team-b.yaml", "Pulumi.a.dev.yaml", "Pulumi.x.yml", "README.md"):
        (tmp_path / name).touch()
    assert list_stacks(tmp_path) == ["a.dev", "team-b"]


@pytest.mark.parametrize(
    ("stack", "known", "message"),
    [
        (
            "aws-pord",
            ["aws-dev", "aws-prod"],
            "There is no stack 'aws-pord': stacks/f does not exist. Did you mean 'aws-prod'? Stacks are aws-dev, "
            "aws-prod; name one with STACK=...",
        ),
        (
            "nope",
            ["aws-dev"],
            "There is no stack 'nope': stacks/f does not exist. Stacks are aws-dev; name one with STACK=...",
        ),
        ("nope", [], "There is no stack 'nope': stacks/f does not exist, and there are no other stacks."),
    ],
)
def test_an_unknown_stack_is_described_with_the_nearest_and_all_others(
    stack: str, known: list[str], message: str
) -> None:
    assert describe_unknown_stack(stack, "stacks/f", known) == message
