"""The report of a failed training run, for each way in which kfp's local runner reports a failure.

A function stands in for the pipeline; test_pipeline.py has the real one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.core import LifecycleError
from lifecycle.core.training_report import TrainingOutcome, TrainingReport
from lifecycle.training import __main__ as command
from lifecycle.training import pipeline


def fail(step: str, *lines: str) -> pipeline.TrainingFailedError:
    def run(**_: object) -> None:
        for line in lines:
            print(line)
        raise RuntimeError(f"Task '{step}' finished with status FAILURE")

    with pytest.raises(pipeline.TrainingFailedError) as caught:
        pipeline._execute(run, {})
    return caught.value


def test_a_refusal_of_the_gate_has_its_reasons() -> None:
    error = fail("gate", "ingest | done in 1.0 s", "gate | The gate rejects it:", "gate |   - accuracy is 0.8")
    error.run_id = "abc"
    report = error.report
    assert (report.outcome, report.run_id) == (TrainingOutcome.GATE_REFUSED, "abc")
    assert [reason.strip() for reason in report.reasons] == ["The gate rejects it:", "- accuracy is 0.8"]


def test_a_gate_without_a_message_has_failed_rather_than_refused() -> None:
    report = fail("gate", "Traceback", "MemoryError").report
    assert report.outcome is TrainingOutcome.FAILED
    assert "MemoryError" in report.reasons[0]


def test_a_step_before_the_gate_has_failed() -> None:
    report = fail("validate-2", "validate | column a is missing").report
    assert (report.outcome, report.reasons) == (TrainingOutcome.FAILED, ["column a is missing"])


@pytest.mark.parametrize("error", [LifecycleError("no data"), pipeline.TrainingFailedError("gate", ["low"], "failed")])
def test_a_run_writes_its_report_before_it_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: LifecycleError
) -> None:
    def train() -> None:
        raise error

    monkeypatch.setattr(command, "_train", train)
    file = tmp_path / "termination-log"
    file.write_text("a file from the kubelet")
    assert command.main(["run", "--report", str(file)]) == 1
    report = TrainingReport.model_validate_json(file.read_text())
    is_refusal = isinstance(error, pipeline.TrainingFailedError)
    assert report.outcome is (TrainingOutcome.GATE_REFUSED if is_refusal else TrainingOutcome.FAILED)
    assert report.reasons == (["low"] if is_refusal else ["no data"])
