"""`make report`: what a stack is and what changes it, for a pull request or as one page of HTML."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from rehearsal.console import UserError, info
from rehearsal.machine_faults import describe_os_error
from rehearsal.process_environment import configure_process
from reports import comment, page
from reports.collection import collect
from reports.findings import Findings

_FORMATS: dict[str, Callable[[Findings], str]] = {"markdown": comment.render, "html": page.render}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reports", description=__doc__)
    parser.add_argument("stack")
    parser.add_argument("--format", default="markdown", help=" or ".join(_FORMATS))
    parser.add_argument("--base", default="", help="git reference to compare with; without it everything is new")
    parser.add_argument("--out", default="", help="file to write to; standard output if not given")
    arguments = parser.parse_args()
    os.umask(os.umask(0) & ~0o700)
    configure_process()
    try:
        _write(arguments.stack, arguments.format, arguments.base, arguments.out)
    except UserError as error:
        info(f"error: {error}")
        return 1
    except OSError as error:
        message = describe_os_error(error)
        if not message:
            raise
        info(f"error: {message}")
        return 1
    return 0


def _write(stack: str, format_: str, base: str, out: str) -> None:
    """Write one report. Raises UserError before anything starts where an argument is wrong."""
    render = _FORMATS.get(format_)
    if render is None:
        raise UserError(f"FORMAT='{format_}' is not a format of reports. Choose {' or '.join(_FORMATS)}.")
    path = Path(out)
    if out and not path.absolute().parent.is_dir():
        raise UserError(f"OUT='{out}' is in a folder that does not exist. Create it, or name another one.")
    text = render(collect(stack, base))
    if not out:
        print(text)
        return
    path.write_text(text)
    info(f"Written to {out}.")


if __name__ == "__main__":
    sys.exit(main())
