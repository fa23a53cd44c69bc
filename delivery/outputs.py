"""Writes results of a step for later steps and jobs, in the forms that both services read.

GitHub reads `name=value` lines from a file, Azure Pipelines reads commands from standard output:
https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#setting-an-output-parameter
https://learn.microsoft.com/azure/devops/pipelines/process/set-variables-scripts
"""

from __future__ import annotations

import os
from pathlib import Path

from delivery.errors import DeliveryError


def write_outputs(**outputs: str) -> None:
    """Write each output where the pipeline reads it, and print it for people. Raises DeliveryError.

    A value with several lines would be read as several outputs.
    """
    for name, value in outputs.items():
        if "\n" in value or "\r" in value:
            raise DeliveryError(
                f"The output {name} has more than one line, which a pipeline would read as other outputs."
            )
        print(f"{name}={value}")
        if file := os.environ.get("GITHUB_OUTPUT"):
            with Path(file).open("a") as stream:
                stream.write(f"{name}={value}\n")
        if "TF_BUILD" in os.environ:
            print(f"##vso[task.setvariable variable={name};isOutput=true]{value}")


def write_summary(text: str) -> None:
    """Add Markdown to the page of the run, on GitHub only: Azure Pipelines accepts none from a script."""
    if file := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(file).open("a") as stream:
            stream.write(f"{text}\n")
