"""`python -m lifecycle.training`: run the pipeline here, compile it, submit it, or do one step of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError

from lifecycle.contract import LifecycleError
from lifecycle.training.console import say
from lifecycle.training.settings import GateSettings, SubmitSettings, Target, TrainingSettings
from lifecycle.training.steps import STEPS, parameters, perform

# Each command imports what it needs: a step on a cluster pays for every import, and needs no pipeline.


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says; results go to standard output. Returns the exit status."""
    given, rest = _parser().parse_known_args(words)
    try:
        if given.command == "step":
            _step(given.name, rest)
        elif rest:
            raise LifecycleError(f"There is no argument {' '.join(rest)}; `--help` lists what there is.")
        elif given.command == "run":
            _run()
        elif given.command == "compile":
            _compile(given.output)
        else:
            _submit(given.to, given.dry_run)
    except ValidationError as error:
        say("\n".join(_complaint(error)))
        return 1
    except LifecycleError as error:
        say(str(error))
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lifecycle.training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the pipeline here, by kfp's local runner; prints the model version as JSON")
    compiling = commands.add_parser("compile", help="write the pipeline file for Kubeflow")
    compiling.add_argument("--output", type=Path, required=True, metavar="FILE")
    submitting = commands.add_parser("submit", help="start the same steps on a cloud's training service")
    submitting.add_argument("--to", choices=("azure-ml", "sagemaker"), required=True)
    submitting.add_argument("--dry-run", action="store_true", help="print what would be submitted")
    step = commands.add_parser(
        "step", help="do one step: --<folder or value> <path or value> for each of its arguments"
    )
    step.add_argument("name", choices=sorted(STEPS))
    return parser


def _run() -> None:
    from lifecycle.training.pipeline import run

    registered = run(TrainingSettings(), GateSettings(), SubmitSettings().image)
    print(json.dumps(asdict(registered), indent=2))


def _compile(output: Path) -> None:
    from lifecycle.training.pipeline import compile_to

    compile_to(output, SubmitSettings().image)


def _submit(target: Target, dry_run: bool) -> None:
    from lifecycle.training import submit

    print(submit.submit(target, TrainingSettings(), GateSettings(), SubmitSettings(), dry_run=dry_run))


def _step(name: str, words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog=f"python -m lifecycle.training step {name}")
    for parameter in parameters(name):
        parser.add_argument(f"--{parameter}", required=True)
    perform(name, **vars(parser.parse_args(words)))


def _complaint(error: ValidationError) -> list[str]:
    return [
        f"The setting {'.'.join(map(str, each['loc']))} is {each['input']!r}: {each['msg']}. Set it otherwise."
        for each in error.errors()
    ]


if __name__ == "__main__":
    sys.exit(main())
