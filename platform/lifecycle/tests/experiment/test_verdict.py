"""Every verdict and its reasons, from users' numbers; empty or tiny windows, and missing users, never decide."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lifecycle.core.names import Action
from lifecycle.experiment.analysis import evaluate
from lifecycle.experiment.users import Users
from lifecycle.experiment.verdict import Verdict
from lifecycle.gitops.experiments import DAY
from support.experiment import TIME
from support.experiment_simulation import Floats, Simulation, experiment

BINARY = experiment(minimum_effect=0.02)


def simulate(users: int = 20_000, seed: int = 1, **criteria: object) -> Simulation:
    return Simulation(experiment(**{"minimum_effect": 0.02, **criteria}), users, 10, seed)  # type: ignore[arg-type]


def draw(simulation: Simulation, champion: float, challenger: float) -> Floats:
    """Zeros and ones."""
    rates = np.where(simulation.is_challenger, challenger, champion)
    return (simulation.generator.random(simulation.users) < rates).astype(float)


def verdict(simulation: Simulation, users: Users, day: float = 20) -> Verdict:
    return evaluate(users, simulation.measures, simulation.criteria, TIME + day * DAY).verdict


def test_a_better_challenger_is_promoted() -> None:
    simulation = simulate()
    found = verdict(simulation, simulation.create(converted=draw(simulation, 0.2, 0.25)))
    assert found.action == Action.PROMOTE
    (reason,) = found.reasons
    assert reason.startswith("The challenger is better: converted differs by +0.0")
    assert reason.endswith("worth a change from +0.02.")


def test_a_worse_challenger_is_stopped() -> None:
    simulation = simulate()
    found = verdict(simulation, simulation.create(converted=draw(simulation, 0.25, 0.2)))
    assert found.action == Action.STOP
    assert "The challenger is worse" in found.reasons[0]


def test_if_lower_is_better_a_lower_mean_is_an_improvement() -> None:
    simulation = simulate(better="lower")
    less = simulation.create(converted=draw(simulation, 0.25, 0.2))
    found = verdict(simulation, less)
    assert found.action == Action.PROMOTE
    assert found.reasons[0].endswith("worth a change from -0.02.")
    assert verdict(simulation, simulation.create(converted=draw(simulation, 0.2, 0.25))).action == Action.STOP


def test_a_challenger_that_is_better_by_less_than_the_minimum_effect_is_stopped() -> None:
    simulation = simulate(minimum_effect=0.1)
    found = verdict(simulation, simulation.create(converted=draw(simulation, 0.2, 0.23)))
    assert found.action == Action.STOP
    assert "not better by the minimum effect" in found.reasons[0]


def test_an_undecided_experiment_continues_until_the_maximum_duration() -> None:
    simulation = simulate(users=2000)
    users = simulation.create(converted=draw(simulation, 0.2, 0.21))
    for day, action in ((20, Action.CONTINUE), (27.9, Action.CONTINUE), (29, Action.STOP)):
        found = verdict(simulation, users, day)
        assert found.action == action
    assert found.reasons[0] == "The experiment has run for 29.0 days, of 28 at most: the champion stays."
    assert "not decided yet" in found.reasons[1]


@pytest.mark.parametrize("day", [20, 100])
@pytest.mark.parametrize("users", [0, 1, 2, 190])
def test_empty_and_tiny_windows_never_decide(users: int, day: float) -> None:
    """Though the difference could not be larger, a guardrail is as bad as can be, and the time is over."""
    simulation = simulate(users=users)
    extreme = simulation.is_challenger.astype(float)
    found = verdict(simulation, simulation.create(converted=extreme, errors=extreme), day)
    assert found.action == Action.NO_DECISION
    assert "Too few users have converted and a closed window" in found.reasons[0]
    assert found.reasons[0].endswith("of 100 at least.")


def test_users_whose_window_has_not_closed_do_not_decide() -> None:
    simulation = Simulation(experiment(window=7), 20_000, 6, seed=1)
    users = simulation.create(converted=draw(simulation, 0.2, 0.9))
    assert verdict(simulation, users, day=6).action == Action.NO_DECISION
    assert verdict(simulation, users, day=13).action == Action.PROMOTE


def test_a_sample_ratio_mismatch_blocks_any_verdict() -> None:
    simulation = simulate()
    users = simulation.create(converted=draw(simulation, 0.2, 0.3), errors=simulation.is_challenger.astype(float))
    lost = simulation.is_challenger & (simulation.generator.random(simulation.users) < 0.1)
    found = verdict(simulation, users.select(~lost), day=100)
    assert found.action == Action.NO_DECISION
    champion, challenger = int((~simulation.is_challenger).sum()), int((simulation.is_challenger & ~lost).sum())
    text = f"Sample ratio mismatch of users: {challenger} of the challenger and {champion} of the champion, where "
    assert found.reasons[0].startswith(text)
    assert found.reasons[0].endswith("before any figure is believed.")


def test_outcomes_that_one_variant_lacks_block_any_verdict() -> None:
    """Zeros of the challenger's users are not reported, so that all who are known have converted."""
    simulation = simulate()
    converted = draw(simulation, 0.5, 0.5)
    converted[simulation.is_challenger & (converted == 0)] = math.nan
    found = verdict(simulation, simulation.create(converted=converted))
    assert found.action == Action.NO_DECISION
    assert "Sample ratio mismatch of users with converted" in found.reasons[0]
    assert "even if it is 0" in found.reasons[0]


def test_a_variant_that_its_share_excludes_is_a_mismatch() -> None:
    simulation = Simulation(BINARY, 1000, 10, seed=1, shares={0: 0})
    simulation.is_challenger[7] = True
    assert verdict(simulation, simulation.create(converted=draw(simulation, 0.2, 0.2))).action == Action.NO_DECISION


@pytest.mark.parametrize(
    ("guardrail", "harm", "text"),
    [
        ("latency", 0.4, "latency differs by +"),
        ("errors", 0.05, "errors differs by +0.05"),
        ("fallbacks", 0.2, "fallbacks differs by +0.19"),
    ],
)
def test_harm_of_a_guardrail_stops_a_challenger_that_is_better(guardrail: str, harm: float, text: str) -> None:
    simulation = simulate()
    harmed = simulation.generator.random(simulation.users) < harm
    values = simulation.create().values[guardrail] + np.where(
        simulation.is_challenger, harm if guardrail == "latency" else harmed, 0
    )
    users = simulation.create(converted=draw(simulation, 0.2, 0.3), **{guardrail: values.clip(max=1)})
    found = verdict(simulation, users)
    assert found.action == Action.STOP
    assert f"harms the guardrail {guardrail}: {text}" in found.reasons[0]
    assert "tolerated up to +" in found.reasons[0]


def test_an_outcome_may_be_a_guardrail() -> None:
    of = experiment(minimum_effect=0.02).model_dump()
    of["outcomes"]["revenue"] = "continuous"
    of["criteria"]["guardrails"] = [{"outcome": "revenue", "tolerance": 0.5}]
    simulation = Simulation(type(BINARY).model_validate(of), 20_000, 10, seed=1)
    revenue = simulation.generator.normal(10, 3, simulation.users) - 2 * simulation.is_challenger
    users = simulation.create(converted=draw(simulation, 0.2, 0.3), revenue=revenue)
    found = verdict(simulation, users)
    assert found.action == Action.STOP
    assert found.reasons[0].endswith("tolerated up to -0.5.")


def test_a_guardrail_that_may_be_harmed_or_is_not_known_delays_a_promotion() -> None:
    simulation = simulate()
    converted = draw(simulation, 0.2, 0.3)
    slower = simulation.create().values["latency"] + 0.11 * simulation.is_challenger
    found = verdict(simulation, simulation.create(converted=converted, latency=slower))
    assert found.action == Action.CONTINUE
    assert "latency may be harmed" in found.reasons[0]
    unknown = np.full(simulation.users, math.nan)
    found = verdict(simulation, simulation.create(converted=converted, latency=unknown))
    assert found.action == Action.CONTINUE
    assert "latency is not known. Too few users have latency" in found.reasons[0]


def test_latency_decides_by_its_ratio() -> None:
    simulation = Simulation(experiment("latency", minimum_effect=0.05), 20_000, 10, seed=1)
    level = simulation.create().values["latency"]
    faster = verdict(simulation, simulation.create(latency=level + math.log(0.9) * simulation.is_challenger))
    assert faster.action == Action.PROMOTE
    assert "worth a change from -5 %" in faster.reasons[0]
    slightly = simulation.create(latency=level + math.log(0.99) * simulation.is_challenger)
    assert verdict(simulation, slightly).action == Action.STOP


def test_values_that_are_all_equal_decide_nothing() -> None:
    simulation = Simulation(experiment("continuous", minimum_effect=0.02), 2000, 10, seed=1)
    found = verdict(simulation, simulation.create(converted=np.ones(2000)))
    assert found.action == Action.NO_DECISION
    assert "there is nothing to compare" in found.reasons[0]
