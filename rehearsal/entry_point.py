"""How a process of the rehearsal begins and ends: what it sets for itself, and what people see of its errors."""

from __future__ import annotations

import os
from collections.abc import Callable

from rehearsal.console import UserError, info
from rehearsal.interrupts import interrupt_on_termination
from rehearsal.machine_faults import describe_os_error
from rehearsal.process_environment import configure_process


def run_command(command: Callable[[], int]) -> int:
    """Run a command; returns the exit status: its own, 1 after an error that a person can mend, 130 after Ctrl-C.

    Raises whatever else it raises: a defect of the program.
    """
    os.umask(os.umask(0) & ~0o700)  # a umask that takes a user's own rights makes files that nobody can use
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
        info("\nInterrupted. Nothing is lost: the same command goes on from here.")
        return 130
