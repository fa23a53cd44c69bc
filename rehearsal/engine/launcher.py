"""`pulumi` in a rehearsal's environment: runs the engine with the rehearsal's copy of the stack's settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rehearsal import project
from rehearsal.console import UserError, info
from rehearsal.session import Rehearsal, engine_arguments


def main() -> None:
    root, stack, purpose, engine, *arguments = sys.argv[1:]
    try:
        rehearsal = Rehearsal(stack, purpose, project.load(Path(root)))
        rehearsal.refresh_settings()
    except UserError as error:
        info(f"error: {error}")
        sys.exit(1)
    os.execv(engine, [engine, *engine_arguments(rehearsal, arguments)])  # noqa: S606 no shell needed


if __name__ == "__main__":
    main()
