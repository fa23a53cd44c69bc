"""Unit tests render no charts: without the network, without building Helm. tests/engine renders them."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from rehearsal.helm import rendering
from rehearsal.helm.charts import ChartUnavailableError
from tests.support.moto_server import empty_account, moto

__all__ = ["empty_account", "moto"]


# Its scope is the module, so it precedes fixtures that record a whole program and ends before tests of tests/engine.
@pytest.fixture(scope="module", autouse=True)
def _no_rendering() -> Iterator[None]:
    def refuse(release: rendering.Release) -> str:
        raise ChartUnavailableError(f"unit tests do not render {release.chart.name}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "_run_template", refuse)
        yield


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Collect no garbage during the test; other tests leave a lot.

    Python 3.11 fails to build a syntax tree (SystemError: AST constructor recursion depth mismatch) if a finalizer
    builds another at the same time, as finalizers that print a traceback do.
    """
    gc.disable()
    yield
    gc.enable()
