"""How a process of the rehearsal starts and ends: the environment that it sets, and how it reports errors."""

from __future__ import annotations

import os
from collections.abc import Callable

from rehearsal.console import UserError, info
from rehearsal.interrupts import interrupt_on_termination
from rehearsal.machine_faults import describe_os_error
from rehearsal.process_environment import configure_process


def run_command(command: Callable[[], int]) -> int:
    """Run a command; returns its exit status, 1 after an error that a person can correct, or 130 after Ctrl-C.

    Any other exception is a defect of the program, and is passed on.
    """
    os.umask(os.umask(0) & ~0o700)  # a umask that removes the user's own permissions creates unusable files
    configure_process()
    interrupt_on_termination()
    try:
        return command()
    except UserError as error:
        info(f"error: {error}")
        return 1
    except OSError as error:
        message = describe_os_error(error)
        if not message:
            raise
        info(f"error: {message}")
        return 1
    except KeyboardInterrupt:
        info("\nInterrupted. Nothing is lost: run the same command again to continue from here.")
        return 130
