"""The models against the clouds' SDKs: no model requires what the SDK calls optional, and each name in it exists.

Proves it for what models declare, and for each input that their rules read when given a type's valid inputs, these
without one of them, and no inputs at all. Checking and creating them raises no exception but the cloud's error.
Not proven: that the SDKs agree with the clouds, and names that rules read only for other inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from kernel.values import UNKNOWN
from rehearsal.simulator.aws.cloud import MODELS as AWS
from rehearsal.simulator.azure.cloud import MODELS as AZURE
from rehearsal.simulator.core.errors import CloudError
from rehearsal.simulator.core.resource_model import ResourceRequest
from rehearsal.simulator.core.values import Values
from tests.support.aws_account import Account
from tests.support.azure_subscription import VALID_INPUTS, Subscription
from tests.support.every_case import check_every
from tests.support.sdk_types import has_input, has_output, inputs_class, required_inputs, requires_input
from tests.unit.rehearsal.simulator.aws import test_copies
from tests.unit.rehearsal.simulator.aws.test_input_rules import RULES

pytestmark = pytest.mark.slow

URN = "urn:pulumi:s::p::t::thing"
MODELS = {**AWS, **AZURE}
# Azure returns it for every resource; the SDK leaves it out.
OUTPUTS_MISSING_FROM_THE_SDK = {"azure-native:network:PrivateDnsZoneGroup": {"type"}}
VALID = {
    **{rule.type: dict(rule.valid) for rule in RULES},
    **test_copies.VALID_INPUTS,
    **{f"azure-native:{type_}": inputs for type_, inputs in VALID_INPUTS.items()},
}


def test_a_model_requires_nothing_that_the_sdk_calls_optional() -> None:
    def check(type_: str) -> None:
        model = MODELS[type_]
        demanded = [path for path in model.required if path not in model.defaults and not requires_input(type_, path)]
        assert demanded == []

    check_every(MODELS, check)


def test_what_the_sdk_requires_is_a_property_of_valid_inputs() -> None:
    def check(type_: str) -> None:
        assert required_inputs(inputs_class(type_)) - VALID[type_].keys() == set()

    check_every(MODELS.keys() & VALID.keys(), check)


def test_each_property_of_a_model_exists_in_the_sdk() -> None:
    check_every(MODELS, _check_properties)


def _check_properties(type_: str) -> None:
    model = MODELS[type_]
    paths = {*model.required, *model.defaults, *model.replace_on_changes, model.name_path} - {""}
    assert [path for path in sorted(paths) if not has_input(type_, path)] == []
    outputs = {*model.outputs, *model.secrets} - OUTPUTS_MISSING_FROM_THE_SDK.get(type_, set())
    assert [name for name in sorted(outputs) if not has_output(type_, name)] == []


@pytest.fixture
def read_paths(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """The types and paths of the inputs that are read."""
    read: set[tuple[str, str]] = set()
    get = ResourceRequest.get

    def record(self: ResourceRequest, path: str, default: Any = None) -> Any:
        if path not in self.account:  # templates look both up
            read.add((self.type, path))
        return get(self, path, default)

    monkeypatch.setattr(ResourceRequest, "get", record)
    return read


def test_rules_read_inputs_that_exist_and_work_without_those_that_are_not_set(read_paths: set[tuple[str, str]]) -> None:
    check_every(MODELS, _check_and_create)
    assert sorted((type_, path) for type_, path in read_paths if not has_input(type_, path)) == []


def _check_and_create(type_: str) -> None:
    valid = _make_known(VALID.get(type_, {}))
    without_one = [{name: value for name, value in valid.items() if name != left_out} for left_out in valid]
    for inputs in ({}, valid, *without_one):
        simulation = Account().simulation if type_ in AWS else Subscription().simulation
        complete, problems = simulation.check(URN, type_, Values(inputs))
        if not problems:
            with suppress(CloudError):  # resources that it refers to are missing
                simulation.create(URN, type_, complete, preview=False)


def _make_known(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with text in place of unknown values."""
    return {name: _make_value_known(name, value) for name, value in inputs.items()}


def _make_value_known(name: str, value: Any) -> Any:
    if value is UNKNOWN:
        return ["x"] if name.endswith("s") else "x"
    if isinstance(value, Mapping):
        return _make_known(value)
    return [_make_value_known("", item) for item in value] if isinstance(value, list) else value
