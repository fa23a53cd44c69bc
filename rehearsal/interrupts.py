"""Ctrl-C, and the signals by which machines end a command, while the engine works."""

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
    """Ctrl-C goes to the whole group: the child decides what to do, and this process waits for it."""
    received: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)


def interrupt_on_termination() -> None:
    """Treat SIGTERM and SIGHUP, which CI and a closed terminal send, as Ctrl-C; `nohup` goes on ignoring them."""
    for number in _TERMINATIONS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def termination_as_interrupt(process: subprocess.Popen[str]) -> Iterator[None]:
    """Pass a SIGTERM or SIGHUP on as the interrupt that `process` ends on in good order, and this process with it.

    Unlike Ctrl-C these signals reach one process, not its whole group. Outside the main thread nothing is changed.
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
