"""`python -m lifecycle.training`: run the pipeline here, compile it, submit it, or run one of its steps."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.core import LifecycleError, read_settings
from lifecycle.core.training_report import TrainingOutcome, TrainingReport
from lifecycle.gate import GateSettings
from lifecycle.training.console import info
from lifecycle.training.settings import SubmitSettings, Target, TrainingSettings
from lifecycle.training.steps import STEPS, parameters, run_step

if TYPE_CHECKING:
    from lifecycle.training.run import TrainingResult

# Each command imports what it needs, so that a step on a cluster does not import the pipeline.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; results go to standard output. Returns the exit status."""
    options, rest = _parser().parse_known_args(arguments)
    try:
        if options.command == "step":
            _step(options.name, rest)
        elif rest:
            raise LifecycleError(f"Unknown arguments: {' '.join(rest)}. `--help` lists all arguments.")
        elif options.command == "run":
            _run(options.report)
        elif options.command == "compile":
            _compile(options.output)
        else:
            _submit(options.to, options.dry_run)
    except LifecycleError as error:
        info(str(error))
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lifecycle.training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser(
        "run", help="run the pipeline here, with kfp's local runner; prints the model version as JSON"
    )
    running.add_argument(
        "--report", type=Path, metavar="FILE", help="write the run's result as JSON to this file, for a Job"
    )
    compiling = commands.add_parser("compile", help="write the pipeline file for Kubeflow")
    compiling.add_argument("--output", type=Path, required=True, metavar="FILE")
    submitting = commands.add_parser("submit", help="start the same steps on a cloud's training service")
    submitting.add_argument("--to", choices=("azure-ml", "sagemaker"), required=True)
    submitting.add_argument("--dry-run", action="store_true", help="print what would be submitted")
    step = commands.add_parser("step", help="run one step, with --<name> <path or value> for each of its arguments")
    step.add_argument("name", choices=sorted(STEPS))
    return parser


def _run(report: Path | None) -> None:
    try:
        result = _train()
    except LifecycleError as error:
        _write(report, _describe_failure(error))
        raise
    outcome = TrainingOutcome.RETRAINED
    _write(report, TrainingReport(outcome=outcome, version=result.version, run_id=result.run_id))
    print(json.dumps(asdict(result), indent=2))


def _train() -> TrainingResult:
    from lifecycle.training.pipeline import run

    return run(read_settings(TrainingSettings), read_settings(GateSettings), read_settings(SubmitSettings).image)


def _describe_failure(error: LifecycleError) -> TrainingReport:
    from lifecycle.training.pipeline import TrainingFailedError

    if isinstance(error, TrainingFailedError):
        return error.report
    return TrainingReport(outcome=TrainingOutcome.FAILED, reasons=[str(error)])


def _write(file: Path | None, report: TrainingReport) -> None:
    if file is not None:
        file.write_text(report.to_line())


def _compile(output: Path) -> None:
    from lifecycle.training.pipeline import compile_to

    compile_to(output, read_settings(SubmitSettings).image)


def _submit(target: Target, dry_run: bool) -> None:
    from lifecycle.training import submit

    training, gate = read_settings(TrainingSettings), read_settings(GateSettings)
    print(submit.submit(target, training, gate, read_settings(SubmitSettings), dry_run=dry_run))


def _step(name: str, arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog=f"python -m lifecycle.training step {name}")
    for parameter in parameters(name):
        parser.add_argument(f"--{parameter}", required=True)
    run_step(name, **vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
