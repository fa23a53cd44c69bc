"""Code that all commands share: how they report an error, and how they are stopped."""

from __future__ import annotations

import functools
import signal
import sys
import threading
from collections.abc import Callable
from typing import ParamSpec

from lifecycle.core.errors import LifecycleError

P = ParamSpec("P")


def report_errors(main: Callable[P, int]) -> Callable[P, int]:
    """Decorates a command: it prints the message of a LifecycleError to standard error and exits with status 1."""

    @functools.wraps(main)
    def run(*arguments: P.args, **options: P.kwargs) -> int:
        try:
            return main(*arguments, **options)
        except LifecycleError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1

    return run


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set from now on, in place of their previous handlers."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
