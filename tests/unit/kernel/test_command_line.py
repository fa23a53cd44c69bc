"""The settings that a command line confirms. Not proven: what a confirmation allows."""

from argparse import ArgumentParser

import pytest

from kernel.command_line import add_confirm_option


@pytest.mark.parametrize(
    ("arguments", "confirmed"),
    [
        ([], []),
        (["--confirm", ""], []),
        (["--confirm", " , "], []),
        (["--confirm", "groundwork:location"], ["groundwork:location"]),
        (["--confirm", "a, b,"], ["a", "b"]),
    ],
)
def test_names_are_split_and_empty_names_are_ignored(arguments: list[str], confirmed: list[str]) -> None:
    parser = ArgumentParser()
    add_confirm_option(parser)
    assert parser.parse_args(arguments).confirm == confirmed
