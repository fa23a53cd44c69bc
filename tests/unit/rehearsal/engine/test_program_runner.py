"""What a program's process leaves out of what the SDK does.

Proves that all outputs are waited for, in whatever order they become known, and that a failed one ends the wait. That
programs run as under the official language host is proven in tests/engine.
"""

from __future__ import annotations

import asyncio

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


def test_outputs_that_others_make_while_they_are_waited_for_are_known_too() -> None:
    known: list[int] = []

    async def run() -> None:
        for number in range(3):
            first = pulumi.Output.from_input(resolve(number, 0.01 * number))
            first.apply(lambda value: pulumi.Output.from_input(resolve(value, 0.01)).apply(known.append))
        await wait_for_outputs()

    asyncio.run(run())
    assert sorted(known) == [0, 1, 2]


def test_an_output_that_cannot_be_known_ends_the_wait_at_once() -> None:
    async def fail() -> None:
        raise ValueError("refused")

    async def run() -> None:
        never = pulumi.Output.from_input(asyncio.get_running_loop().create_future())
        pulumi.Output.from_input(fail())
        await asyncio.wait_for(wait_for_outputs(), timeout=30)
        assert not never._data.done()

    asyncio.run(run())
