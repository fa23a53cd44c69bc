"""The simulated clouds enforce the API descriptions of the clouds, for every constraint on an input that we declare.

For each constraint of each modelled type, inputs are generated that violate it and, as far as possible, no other one:
from the inputs of the foundations, or from a type's valid inputs if no foundation has it. They are refused, and the
inputs that they were generated from are accepted. Not proven: that the clouds' services enforce everything that the
descriptions say, and with these messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from kernel.paths import parse_path
from kernel.values import UNKNOWN
from rehearsal.simulator.aws import cloud as aws
from rehearsal.simulator.azure import cloud as azure
from rehearsal.simulator.core.constraints import Constraint, Kind
from rehearsal.simulator.core.resource_model import ResourceModel
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.values import Values, has_unknown
from tests.support.negative_cases import break_constraint, find_value
from tests.support.recording import Recorder
from tests.support.sample_foundations import record_foundation
from tests.unit.rehearsal.simulator.test_sdk_types import VALID

pytestmark = pytest.mark.slow

MODELS = {"azure": azure.MODELS, "aws": aws.MODELS}
_OPTIONS: dict[str, dict[str, Any]] = {"azure": {}, "aws": {"network": {"hub": "tgw-0123456789abcdef0"}}}
URN = "urn:pulumi:s::p::t::thing"
ACCEPTED, REFUSED = "accepted", "refused"
_LEAST = {"azure": 240, "aws": 310}


@pytest.fixture(scope="module", params=MODELS)
def recorder(request: pytest.FixtureRequest) -> Recorder:
    telemetry = {"alertEmail": "ml@example.com"}
    return record_foundation(request.param, "prod", telemetry=telemetry, **_OPTIONS[request.param]).recorder


def test_every_constraint_on_a_declared_input_refuses_a_violation(
    recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud = "aws" if any(each.type.startswith("aws:") for each in recorder.resources) else "azure"
    outcomes = {
        f"{type_} {constraint.path} {constraint.kind} {constraint.limit}": _try(recorder, model, constraint)
        for type_, model in MODELS[cloud].items()
        for constraint in model.constraints.constraints
    }
    counts = Counter(outcomes.values())
    with capsys.disabled():
        print(
            f"\n{cloud}: {len(outcomes)} constraints: " + ", ".join(f"{count} {each}" for each, count in counts.items())
        )
    assert "\n".join(case for case, outcome in outcomes.items() if outcome == ACCEPTED) == ""
    assert counts[REFUSED] > _LEAST[cloud], "the generated file has lost constraints"


def _try(recorder: Recorder, model: ResourceModel, constraint: Constraint) -> str:
    """The outcome of inputs that violate a constraint."""
    steps = parse_path(constraint.path)
    inputs = (each for each in _list_inputs(recorder, model.type) if find_value(each, steps) is not None)
    declared = next(inputs, None)
    if declared is None:
        return "of inputs that nobody declares"
    if constraint.kind is Kind.REQUIRED and constraint.path in model.defaults:
        return "of inputs that the provider fills in"
    try:
        broken = break_constraint(constraint, declared)
    except ValueError:
        return "that only an empty value violates, which is not sent"
    return REFUSED if broken is not None and _check(recorder, model.type, broken) else ACCEPTED


def test_the_foundations_violate_no_constraint(recorder: Recorder) -> None:
    types = {**azure.MODELS, **aws.MODELS}
    problems = {
        f"{resource.type} {resource.name}: {problem}"
        for resource in recorder.resources
        if resource.type in types
        for problem in _check(recorder, resource.type, resource.inputs)
    }
    assert problems == set()


def _check(recorder: Recorder, type_: str, inputs: Mapping[str, Any]) -> list[str]:
    simulation: Simulation = recorder.simulations[type_.split(":", 1)[0]]
    return simulation.check(URN, type_, Values(dict(inputs)))[1]


def _list_inputs(recorder: Recorder, type_: str) -> list[Mapping[str, Any]]:
    """Inputs of a type that the cloud accepts: those of the foundation, or else the type's valid ones."""
    declared = [resource.inputs for resource in recorder.of_type(type_)]
    valid = {name: value for name, value in VALID.get(type_, {}).items() if value is not UNKNOWN}
    candidates = declared or [valid]
    return [each for each in candidates if not has_unknown(each)]
