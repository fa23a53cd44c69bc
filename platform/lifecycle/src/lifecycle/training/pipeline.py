"""The pipeline of the components: compiled to a file, or run here by kfp's local runner.

Jobs of other services are translated from the compiled pipeline, so there is one list of steps.
kfp reads the annotations of the pipeline's function, so here too they are the types themselves.
"""

import contextlib
import json
import logging
import os
import re
import subprocess
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler, dsl, local

from lifecycle.core import LifecycleError
from lifecycle.core.training_report import TrainingOutcome, TrainingReport
from lifecycle.gate import GateSettings
from lifecycle.training import components
from lifecycle.training.console import StepOutput
from lifecycle.training.run import TrainingResult, TrainingRun
from lifecycle.training.settings import TrainingSettings

NAME = "groundwork-training"
_GATE = "gate"  # the step that refuses a model


class TrainingFailedError(LifecycleError):
    """A step has failed.

    step     its name
    reasons  the lines of its message
    run_id   of the MLflow run; empty if no step has started one
    """

    def __init__(self, step: str, reasons: list[str], message: str) -> None:
        super().__init__(message)
        self.step = step
        self.reasons = reasons
        self.run_id = ""

    @property
    def report(self) -> TrainingReport:
        """The report for the service or the person that started the run."""
        outcome = TrainingOutcome.GATE_REFUSED if self.step == _GATE and self.reasons else TrainingOutcome.FAILED
        return TrainingReport(outcome=outcome, run_id=self.run_id, reasons=self.reasons or [str(self)])


def build(image: str) -> Any:
    """The pipeline; its components run in `image`."""
    component = partial(dsl.component, base_image=image, install_kfp_package=False)
    ingest, validate, split = map(component, (components.ingest, components.validate, components.split))
    tune, train, evaluate = map(component, (components.tune, components.train, components.evaluate))
    gate, register = map(component, (components.gate, components.register))

    @dsl.pipeline(name=NAME, description="From a table to a registered model version.")  # type: ignore[untyped-decorator]
    def training(
        source: str,
        remote: str,
        tracking_uri: str,
        experiment: str,
        model: str,
        git_commit: str,
        trials: int,
        min_accuracy: float,
        min_recall: float,
        margin: float,
    ) -> None:
        ingested = ingest(
            source=source,
            remote=remote,
            tracking_uri=tracking_uri,
            experiment=experiment,
            model=model,
            git_commit=git_commit,
        )
        # Kubeflow's cache would skip the step for a known version of the data, and there would be no run in MLflow.
        ingested.set_caching_options(False)
        run = ingested.outputs["run"]
        validated = validate(run=run, table=ingested.outputs["table"]).output
        partitions = split(run=run, validated=validated).output
        candidates = {}
        for family in ("random-forest", "gradient-boosting"):
            tuning = tune(run=run, partitions=partitions, family=family, trials=trials).set_display_name(
                f"tune {family}"
            )
            trained = train(run=run, partitions=partitions, tuning=tuning.output).set_display_name(f"train {family}")
            candidates[family] = trained.output
        evaluation = evaluate(
            run=run, partitions=partitions, forest=candidates["random-forest"], boosting=candidates["gradient-boosting"]
        ).output
        report = gate(
            run=run, evaluation=evaluation, min_accuracy=min_accuracy, min_recall=min_recall, margin=margin
        ).output
        register(run=run, evaluation=evaluation, report=report)

    return training


def specification(image: str) -> dict[str, Any]:
    """The pipeline in the format of Kubeflow's API (PipelineSpec, https://www.kubeflow.org/docs/components/pipelines/)."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "pipeline.yaml")
        compiler.Compiler().compile(build(image), str(path))
        compiled: dict[str, Any] = yaml.safe_load(path.read_text())
    return compiled


def compile_to(path: Path, image: str) -> None:
    """Write the pipeline file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(build(image), str(path))


def arguments(training: TrainingSettings, gate: GateSettings) -> dict[str, str | int | float]:
    """The pipeline's parameters."""
    return {
        "source": training.source,
        "remote": training.data_remote if "://" in training.data_remote else str(Path(training.data_remote).resolve()),
        "tracking_uri": training.tracking_uri,
        "experiment": training.experiment,
        "model": training.model,
        "git_commit": git_commit(),
        "trials": training.trials,
        **gate.model_dump(),
    }


def git_commit() -> str:
    """The commit of this package's code, with `-dirty` if files were changed; `unknown` outside a repository."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        process = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return process.stdout.strip() or "unknown"


def run(training: TrainingSettings, gate: GateSettings, image: str) -> TrainingResult:
    """Run the pipeline here, each step in its own process, as on a cluster.

    Raises TrainingFailedError if a step fails; the reason is on standard error and in its MLflow run.
    """
    # The steps' processes must find this package even if it is not installed.
    sources = str(Path(__file__).resolve().parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [sources, os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory() as root:
        local.init(local.SubprocessRunner(use_venv=False), pipeline_root=root)
        try:
            _execute(build(image), arguments(training, gate))
        except TrainingFailedError as error:
            error.run_id = next((TrainingRun.read(file.parent).id for file in Path(root).glob("**/run/run.json")), "")
            raise
        (version,) = Path(root).glob("**/version/version.json")
        return TrainingResult(**json.loads(version.read_text()))


def _execute(pipeline: Any, values: dict[str, str | int | float]) -> None:
    """Show only the messages of steps: kfp prints much more, which helps only if a step fails without a message."""
    output = StepOutput()
    logging.disable(logging.ERROR)
    try:
        with contextlib.redirect_stdout(output), warnings.catch_warnings(action="ignore"):
            pipeline(**values)
    except RuntimeError as error:
        step = re.findall(r"'([a-z]+)[-0-9]*'", str(error))[-1]
        messages = [line.removeprefix(f"{step} | ") for line in output.messages if line.startswith(f"{step} |")]
        reason = "Its message is above." if messages else "\n".join(output.other)[-3000:]
        raise TrainingFailedError(step, messages, f"Training failed in the step {step}. {reason}") from None
    finally:
        logging.disable(logging.NOTSET)
