"""Any value may be unknown in a preview: no model of any cloud raises an exception for it, or refuses it.

Each type of both foundations is checked, compared and previewed once for each of its properties, at any depth, with
that property unknown. Not covered: rules that run only when something is created.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from kernel.paths import Path, format_path
from kernel.values import UNKNOWN
from rehearsal.simulator.aws import cloud as aws
from rehearsal.simulator.azure import cloud as azure
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.simulation import Simulation
from rehearsal.simulator.core.values import Values
from tests.support.recording import RecordedResource, Recorder
from tests.support.sample_foundations import record_foundation
from tests.unit.rehearsal.simulator.test_sdk_types import VALID

pytestmark = pytest.mark.slow

_MODELS = {"azure": azure.MODELS, "aws": aws.MODELS}
# With them a foundation has every type: the hub's own network is not in the simulated account.
_SETTINGS: dict[str, dict[str, Any]] = {"azure": {}, "aws": {"network": {"hub": "tgw-0123456789abcdef0"}}}
_TYPES = {*azure.MODELS, *aws.MODELS}


@pytest.fixture(scope="module", params=_MODELS)
def recorder(request: pytest.FixtureRequest) -> Recorder:
    telemetry = {"alertEmail": "ml@example.com"}
    return record_foundation(request.param, "prod", telemetry=telemetry, **_SETTINGS[request.param]).recorder


def test_no_unknown_value_raises_or_is_refused(recorder: Recorder) -> None:
    assert _find_problems(recorder, recorder.resources) == []


def test_a_model_that_no_foundation_uses_accepts_unknown_values(recorder: Recorder) -> None:
    used = {resource.type for resource in recorder.resources}
    (cloud,) = (models for models in _MODELS.values() if used & models.keys())
    others = cloud.keys() - used
    assert others <= VALID.keys(), "valid inputs are missing: see CONTRIBUTING.md, Add a resource model"
    resources = [RecordedResource(type_, "other", _make_known(VALID[type_]), {}) for type_ in others]
    assert _find_problems(recorder, resources) == []


def _find_problems(recorder: Recorder, resources: Iterable[RecordedResource]) -> list[str]:
    cases = {
        (resource.type, format_path(path)): (resource, path)
        for resource in resources
        if resource.type in _TYPES
        for path in _list_paths(dict(resource.inputs))
    }
    return [
        f"{type_} {path}: {error}"
        for (type_, path), case in cases.items()
        for error in _find_errors(recorder.simulations[type_.split(":", 1)[0]], *case)
    ]


def _make_known(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "known" if value is UNKNOWN else value for name, value in inputs.items()}


def _find_errors(simulation: Simulation, resource: RecordedResource, path: Path) -> Iterator[str]:
    type_, old, new = resource.type, Values(dict(resource.inputs)), Values(_without(dict(resource.inputs), path))
    try:
        yield from simulation.check("urn::x", type_, new, old)[1]
        if old != new and not simulation.diff("urn::x", type_, resource.id, old, new).changed:
            yield "no difference"
        simulation.create("urn::x", type_, new, preview=True)
        simulation.update("urn::x", type_, resource.id, new, Values(dict(resource.outputs)), preview=True)
    except CloudError as error:
        yield f"refused: {error}"
    except Exception as error:
        yield f"{type(error).__name__}: {error}"


def _list_paths(value: Any, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _list_paths(item, (*path, key))


def _without(value: Any, path: Path) -> Any:
    """A copy of a value in which the value at a path is unknown."""
    if not path:
        return UNKNOWN
    copied: Any = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = _without(value[path[0]], path[1:])
    return copied
