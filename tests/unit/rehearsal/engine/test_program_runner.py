"""Waiting for the outputs of a program, in place of the SDK's own implementation.

Proves that all outputs are awaited, in any order in which they become known, and that a failed one ends the wait. That
programs run as under the official language host is proven in tests/engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pulumi
import pytest
from pulumi.runtime.settings import SETTINGS

from rehearsal.engine.program_runner import wait_for_outputs


@pytest.fixture(autouse=True)
def outputs() -> None:
    SETTINGS.outputs.clear()


async def resolve(value: int, later: float) -> int:
    await asyncio.sleep(later)
    return value


def from_coroutine(coroutine: Coroutine[Any, Any, Any]) -> pulumi.Output[Any]:
    output: pulumi.Output[Any] = pulumi.Output.from_input(coroutine)
    return output


def test_outputs_created_during_the_wait_are_awaited_too() -> None:
    known: list[int] = []

    def follow(value: int) -> pulumi.Output[Any]:
        return from_coroutine(resolve(value, 0.01)).apply(known.append)

    async def run() -> None:
        for number in range(3):
            from_coroutine(resolve(number, 0.01 * number)).apply(follow)
        await wait_for_outputs()

    asyncio.run(run())
    assert sorted(known) == [0, 1, 2]


def test_a_failed_output_ends_the_wait_at_once() -> None:
    async def fail() -> None:
        raise ValueError("refused")

    async def run() -> None:
        never = pulumi.Output.from_input(asyncio.get_running_loop().create_future())
        from_coroutine(fail())
        await asyncio.wait_for(wait_for_outputs(), timeout=30)
        assert not never._data.done()

    asyncio.run(run())
