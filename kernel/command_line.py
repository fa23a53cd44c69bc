"""The option of `make up` and `make rehearse` that lists the settings that may be changed although that loses data."""

from argparse import ArgumentParser


def add_confirm_option(parser: ArgumentParser) -> None:
    """Parse `--confirm a,b` into a list of names without blanks; empty if the option is missing or has no value."""
    parser.add_argument(
        "--confirm", type=_split, default=[], help="settings that `up` may change although that loses data: a,b"
    )


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
