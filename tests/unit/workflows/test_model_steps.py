"""The steps of a model's pipelines: training, promotion by hand and by an event, analysis, continuous training.

kubectl, pulumi and gh are simulated, as test_steps says; `delivery` is real. platform/lifecycle tests the
commands in the pods.
"""

from __future__ import annotations

import pytest

from tests.support.workflow_cases import BACKEND, MODEL, PROMOTED, find, succeed
from tests.support.workflow_steps import Machine, Result

pytestmark = pytest.mark.process


def plan(machine: Machine, kind: str) -> Result:
    return machine.run(find("plan"), {**MODEL, "inputs.deployment_type": kind})


def test_a_pipelines_stages_are_outputs(machine: Machine) -> None:
    outputs = succeed(plan(machine, "deploy")).outputs
    assert outputs == {"train": "false", "images": "true", "deploy": "true", "ab_test": "false", "promote": "false"}


def test_an_unknown_kind_of_pipeline_has_one_message(machine: Machine) -> None:
    result = plan(machine, "canary; rm -rf /")
    assert (result.code, result.outputs) == (1, {})
    (line,) = result.printed.splitlines()
    assert line.startswith(
        "error: deployment_type is 'canary; rm -rf /', which is not a kind of pipeline: use one of full-"
    )


VERSION = {"needs.train.outputs.version || inputs.version": "3"}


def test_a_model_goes_from_training_to_its_tag(machine: Machine) -> None:
    assert succeed(machine.run(find("train"), {**MODEL, **BACKEND})).outputs == {"version": "7"}
    deployed = succeed(machine.run(find("deploy"), {**MODEL, **BACKEND, **VERSION}))
    assert deployed.printed == f"{PROMOTED}\nchurn-challenger serves version 3.\n"
    compared = succeed(machine.run(find("ab-test"), {**MODEL, **BACKEND}))
    assert "churn-forest: continue" in compared.summary
    assert any("experiments-decide-77-1" in call for call in compared.called("kubectl"))
    assert PROMOTED in succeed(machine.run(find("promote"), {**MODEL, **BACKEND, **VERSION})).printed
    tag = succeed(machine.run(find("tag"), {**MODEL, **BACKEND, **VERSION, "github.token": "t"}))
    assert tag.called("gh")[1][-3:] == ["ref=refs/tags/models/aws-dev/churn/3", "-f", f"sha={'c' * 40}"]


PAYLOAD = {
    "github.event.client_payload.stack || inputs.stack": "aws-dev",
    "github.event.client_payload.model || inputs.model": "churn",
    "github.event.client_payload.version || inputs.version": "3",
}


def test_an_event_of_the_registry_runs_the_workers_own_command(machine: Machine) -> None:
    event = {**PAYLOAD, **BACKEND, "github.event.client_payload.event": "delivery-1"}
    (call,) = succeed(machine.run(find("dispatch"), event)).called("kubectl")
    assert call[2:8] == ["exec", "--namespace", "lifecycle", "deployment/promotion-worker", "--", "python"]
    assert call[9:] == ["lifecycle.promotion", "promote", "churn", "3", "--keep-alias", "--event", "delivery-1"]
    (by_hand,) = succeed(machine.run(find("dispatch"), {**event, "github.event.client_payload.event": ""})).called(
        "kubectl"
    )
    assert by_hand[9:] == ["lifecycle.promotion", "promote", "churn", "3"]
    hostile = machine.run(find("dispatch"), {**event, "github.event.client_payload.model || inputs.model": "--help"})
    assert (hostile.code == 0, hostile.called("kubectl")) == (False, [])


def test_failed_promotions_are_retried_every_day(machine: Machine) -> None:
    (call,) = succeed(machine.run(find("retry"), {**BACKEND, "matrix.stack": "aws-dev"})).called("kubectl")
    assert call[-2:] == ["lifecycle.promotion", "retry"]


def test_the_schedule_and_new_data_start_a_training_run(machine: Machine) -> None:
    (call,) = succeed(machine.run(find("schedule"), {**BACKEND, "matrix.stack": "aws-dev"})).called("kubectl")
    assert call[5:] == ["deployment/retraining", "--", "python", "-m", "lifecycle.retraining", "schedule"]
    payload = {
        f"github.event.client_payload.{name}": value for name, value in (("stack", "aws-dev"), ("model", "churn"))
    }
    event = {**payload, **BACKEND, "github.event.client_payload.id": "2026-11-30"}
    (call,) = succeed(machine.run(find("new-data"), event)).called("kubectl")
    assert call[10:] == ["new-data", "churn", "--source", "/pipelines", "--id", "2026-11-30"]
