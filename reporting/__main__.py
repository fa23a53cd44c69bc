"""`make report`: what a stack contains and what a change does to it, for a pull request or as an HTML page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from rehearsal.console import UserError, info
from rehearsal.entry_point import run_command
from rehearsal.secret_search import REMEDY, SecretSearch
from rehearsal.simulator.core.canaries import Canaries
from reporting import comment, page
from reporting.collection import collect
from reporting.findings import Findings
from reporting.sections import LIMIT

_FORMATS: dict[str, Callable[[Findings, int], str]] = {
    "markdown": comment.render,
    "html": lambda findings, _: page.render(findings),
}
LEAST_LIMIT = 8_192  # bytes: room for all headings


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reporting", description=__doc__)
    parser.add_argument("stack")
    parser.add_argument("--format", default="markdown", help=" or ".join(_FORMATS))
    parser.add_argument("--base", default="", help="git reference to compare with; if omitted, everything is new")
    parser.add_argument("--limit", default=str(LIMIT), help="bytes of the report, if one comment has several")
    parser.add_argument("--out", default="", help="file to write to; standard output if omitted")
    arguments = parser.parse_args()
    return run_command(lambda: _write(arguments))


def _write(arguments: argparse.Namespace) -> int:
    """Write one report; returns the exit status. Raises UserError before anything starts if an argument is wrong."""
    render = _FORMATS.get(arguments.format)
    if render is None:
        raise UserError(f"FORMAT='{arguments.format}' is not a format of reports. Choose {' or '.join(_FORMATS)}.")
    limit = _read_limit(arguments.limit)
    out = Path(arguments.out) if arguments.out else None
    if out and not out.absolute().parent.is_dir():
        raise UserError(f"OUT='{out}' is in a folder that does not exist. Create it, or choose another one.")
    canaries = Canaries()
    text = render(collect(arguments.stack, arguments.base, canaries), limit)
    if leaks := list(SecretSearch(canaries).search_text("The report", text)):
        raise UserError(f"{leaks[0]}, so it is not written. {REMEDY}")
    if out is None:
        print(text)
        return 0
    out.write_text(text)
    info(f"Written to {out}.")
    return 0


def _read_limit(text: str) -> int:
    if text.isdecimal() and LEAST_LIMIT <= int(text) <= LIMIT:
        return int(text)
    raise UserError(
        f"LIMIT='{text}' is not a valid length. Set it to {LEAST_LIMIT} to {LIMIT} bytes, GitHub's limit for a comment."
    )


if __name__ == "__main__":
    sys.exit(main())
