"""The option by which `make up` and `make rehearse` are told which settings may be changed although that loses data."""

from argparse import ArgumentParser


def add_confirm_option(parser: ArgumentParser) -> None:
    """`--confirm a,b` becomes a list of names, without blanks; it is empty where the option or its value is."""
    parser.add_argument(
        "--confirm", type=_split, default=[], help="settings that `up` may change although that loses data: a,b"
    )


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
