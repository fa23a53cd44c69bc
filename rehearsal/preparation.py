"""Finds or builds the programs that a rehearsal runs: first the engine, the others while a preview is running."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from rehearsal import go_build, toolchain
from rehearsal.engine import pulumi_cli
from rehearsal.helm import charts, cli
from rehearsal.kubernetes.control_plane import programs
from rehearsal.kubernetes.controllers import manager

_T = TypeVar("_T")

_MOMENT = 2.0  # seconds: finding installed programs takes less than one second


@dataclass(frozen=True)
class Preparation:
    """Programs that are being prepared. Each getter waits, and raises UserError if a program is not available."""

    _engine: Future[Path]
    _control_plane: Future[str]
    _controllers: Future[Mapping[str, Path]]
    _waits: list[float] = field(default_factory=list)

    @property
    def seconds_waited(self) -> float:
        """Wall time that callers spent waiting for programs."""
        return sum(self._waits)

    def is_complete(self) -> bool:
        """Whether everything is ready, or will be within seconds; false while something is built or downloaded."""
        return not wait([self._controllers], timeout=_MOMENT).not_done

    def engine(self) -> Path:
        """The Pulumi command line."""
        return self._wait(self._engine)

    def control_plane(self) -> str:
        """Why a control plane is not available; empty if it is."""
        return self._wait(self._control_plane)

    def controllers(self) -> Mapping[str, Path]:
        """The programs of the controllers that charts install, keyed by command."""
        return self._wait(self._controllers)

    def _wait(self, future: Future[_T]) -> _T:
        started = time.monotonic()
        try:
            return future.result()
        finally:
            self._waits.append(time.monotonic() - started)


@contextmanager
def preparing() -> Iterator[Preparation]:
    """Prepare in the background; builds that are still running when the context ends are cancelled.

    The controllers are those of the project's charts whose packages are available.
    """
    controllers_of = manager.programs_of(charts.pinned_charts())
    toolchain.announce_builds([pulumi_cli.TOOL, cli.TOOL, *programs.TOOLS, *controllers_of])
    pool = ThreadPoolExecutor(toolchain.concurrent_builds(3))
    engine = pool.submit(pulumi_cli.engine)
    pool.submit(cli.is_available)
    control_plane = pool.submit(programs.prepare)
    controllers = pool.submit(_controllers, control_plane)
    try:
        yield Preparation(engine, control_plane, controllers)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        with go_build.cancelling():
            pool.shutdown(wait=True)


def _controllers(control_plane: Future[str]) -> Mapping[str, Path]:
    """The controllers' programs; none without a control plane, since they could not run."""
    if control_plane.result():
        return {}
    return manager.ensure_programs(charts.available_charts())
