"""Results of a step for the steps and jobs after it, as both pipelines take them.

GitHub reads `name=value` lines from a file, Azure Pipelines commands from standard output:
https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#setting-an-output-parameter
https://learn.microsoft.com/azure/devops/pipelines/process/set-variables-scripts
"""

from __future__ import annotations

import os
from pathlib import Path

from delivery.errors import DeliveryError


def write_outputs(**outputs: str) -> None:
    """Write each output where the pipeline reads it, and print it for people. Raises DeliveryError.

    A value of more lines than one would be read as further outputs.
    """
    for name, value in outputs.items():
        if "\n" in value or "\r" in value:
            raise DeliveryError(f"The output {name} has more than one line, which a pipeline would take for others.")
        print(f"{name}={value}")
        if file := os.environ.get("GITHUB_OUTPUT"):
            with Path(file).open("a") as stream:
                stream.write(f"{name}={value}\n")
        if "TF_BUILD" in os.environ:
            print(f"##vso[task.setvariable variable={name};isOutput=true]{value}")


def write_summary(text: str) -> None:
    """Add Markdown to the page of the run; on GitHub, since Azure Pipelines takes none from a script."""
    if file := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(file).open("a") as stream:
            stream.write(f"{text}\n")
