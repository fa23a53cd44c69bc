"""`pulumi` as a rehearsal's environment has it: the engine itself, given the rehearsal's copy of the settings."""

from __future__ import annotations

import os
import sys

from rehearsal.console import UserError, info
from rehearsal.session import Rehearsal, engine_arguments


def main() -> None:
    stack, purpose, engine, *arguments = sys.argv[1:]
    try:
        rehearsal = Rehearsal(stack, purpose)
        rehearsal.refresh_settings()
    except UserError as error:
        info(f"error: {error}")
        sys.exit(1)
    os.execv(engine, [engine, *engine_arguments(rehearsal, arguments)])  # noqa: S606 no shell is wanted


if __name__ == "__main__":
    main()
