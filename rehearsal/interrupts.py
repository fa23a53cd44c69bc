"""Handling of Ctrl-C, and of the signals that terminate a command, while the engine runs."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_TERMINATIONS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interrupts_left_to_child() -> Iterator[list[int]]:
    """Leave Ctrl-C to the child process, which receives it as well, while this process waits for it to end.

    Gives the list of the signals received.
    """
    received: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)


def interrupt_on_termination() -> None:
    """Treat SIGTERM and SIGHUP, which CI and a closed terminal send, as Ctrl-C, unless `nohup` ignores them."""
    for number in _TERMINATIONS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def termination_as_interrupt(process: subprocess.Popen[str]) -> Iterator[None]:
    """Turn a SIGTERM or SIGHUP into an interrupt of `process`, which then stops cleanly, and of this process.

    Unlike Ctrl-C, these signals reach one process and not its whole group. Outside the main thread nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        process.send_signal(signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = {number: signal.getsignal(number) for number in _TERMINATIONS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
