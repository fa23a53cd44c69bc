"""The guardrails in thousands of simulated rollouts, more of them in `make soak`; seeded, with looks after each block.

Proves that at most 1 % of challengers which are as good as their champion are rolled back, and that worse ones are. The
requests are simulated, without Prometheus: its estimates and the gateway's split are proven elsewhere.
"""

from __future__ import annotations

import numpy as np
import pytest

from lifecycle.core.sequential import Counts
from lifecycle.rollout.guardrails import find_excesses
from lifecycle.rollout.measurements import Requests
from lifecycle.rollout.settings import RolloutSettings

SETTINGS = RolloutSettings(prometheus="http://prometheus")
SHARES = np.repeat([0.1, 0.25, 0.5, 1.0], 10)  # of the challenger, in ten blocks at each step
BLOCK = 100  # requests


def simulate(generator: np.random.Generator, *rates: tuple[float, float]) -> list[str]:
    """The reasons for which a rollout is rolled back.

    The rates are the challenger's and the champion's, of requests that fail, take long, or are rejected.
    """
    trials = generator.binomial(BLOCK, SHARES)
    groups = []
    for requests, *own in zip((trials, BLOCK - trials), *rates, strict=True):
        events = (generator.binomial(requests, rate) for rate in own)
        groups.append(Requests(*(Counts(requests.astype(float), each.astype(float)) for each in events)))
    return find_excesses(*groups, SETTINGS)


@pytest.mark.parametrize("rollouts", [2000, pytest.param(10_000, marks=pytest.mark.soak)])
def test_one_healthy_challenger_in_a_hundred_is_rolled_back_at_most(rollouts: int) -> None:
    generator = np.random.default_rng(20261129)
    rolled_back = sum(bool(simulate(generator, *[(0.02, 0.02)] * 3)) for _ in range(rollouts))
    assert rolled_back <= rollouts // 100


@pytest.mark.parametrize(
    ("rates", "reason"),
    [
        ([(0.04, 0.01), (0, 0), (0, 0)], "requests failed, of the champion's"),
        ([(0.1, 0.1), (0, 0), (0, 0)], "requests failed, more than 0.05"),
        ([(0, 0), (0.05, 0.005), (0, 0)], "responses took longer than 2 s, of the champion's"),
        ([(0, 0), (0.1, 0.1), (0, 0)], "responses took longer than 2 s, more than 0.05"),
        ([(0, 0), (0, 0), (0.05, 0.005)], "requests were rejected, of the champion's"),
    ],
)
@pytest.mark.parametrize("rollouts", [100, pytest.param(200, marks=pytest.mark.soak)])
def test_a_worse_challenger_is_rolled_back_with_its_reason(
    rollouts: int, rates: list[tuple[float, float]], reason: str
) -> None:
    generator = np.random.default_rng(20261129)
    found = [simulate(generator, *rates) for _ in range(rollouts)]
    assert sum(any(reason in each for each in reasons) for reasons in found) >= 0.9 * rollouts
