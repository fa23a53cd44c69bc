"""Runs the scripts of Azure Pipelines' steps on this machine, as `workflow_steps` does for GitHub's.

Bash runs a script as the tasks do: without the option to exit at the first failure, and with the variables of pipeline,
job and step in its environment. The test passes the values of macros and runtime expressions in variables; a script
that contains one itself cannot be run. Outputs are the commands that it prints. Proves nothing by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.support.azure_pipelines import expand_pipeline, list_steps
from tests.support.workflow_steps import COMMIT, Machine, Step

_OUTPUT = re.compile(r"^##vso\[task\.setvariable variable=(\w+);isOutput=true\](.*)$", re.MULTILINE)


class Agent(Machine):
    """An agent of Azure Pipelines."""

    # https://learn.microsoft.com/azure/devops/pipelines/tasks/reference/bash-v3
    shell = ("bash", "--noprofile", "--norc", "-c")
    # `$(Build.SourceVersion)`, which cannot be the name of a shell command, and `$[ ... ]`.
    expression = re.compile(r"\$\((\w+\.\w+)\)|\$\[\s*(.+)\s*\]")

    def list_variables(self) -> Mapping[str, str]:
        """https://learn.microsoft.com/azure/devops/pipelines/build/variables"""
        return {
            "AGENT_TEMPDIRECTORY": str(self.temp),
            "BUILD_BUILDID": "77",
            "BUILD_REASON": "Manual",
            "BUILD_REPOSITORY_NAME": "ml-platform",
            "BUILD_SOURCEVERSION": COMMIT,
            "PIPELINE_WORKSPACE": str(self.temp),
            "PULUMI_BACKEND_URL": "file:///tmp",  # of the variable group
            "SYSTEM_COLLECTIONURI": "https://dev.azure.com/acme/",
            "SYSTEM_JOBATTEMPT": "1",
            "SYSTEM_TEAMPROJECT": "platform",
            "TF_BUILD": "True",
        }

    def read_outputs(self, printed: str) -> Mapping[str, str]:
        return dict(_OUTPUT.findall(printed))

    def _resolve(self, text: str, expressions: Mapping[str, str], step: Step) -> str:
        def look_up(found: re.Match[str]) -> str:
            name = (found[1] or found[2]).strip()
            known = {"Build.SourceVersion": COMMIT, **expressions}
            assert name in known, f"{step.label} reads {name}, which the test does not set"
            return known[name]

        return self.expression.sub(look_up, text)


def list_scripts(path: Path) -> Iterator[Step]:
    """All steps of a pipeline that have a script, each with the variables that it runs with."""
    pipeline = expand_pipeline(path)
    for stage in pipeline.get("stages", [pipeline]):
        for job in stage["jobs"]:
            name = "/".join(filter(None, [stage.get("stage"), job.get("job") or job["deployment"]]))
            variables = _read_variables([*pipeline.get("variables", ()), *job.get("variables", ())])
            for index, step in enumerate(list_steps(job)):
                if script := find_script(step):
                    own = {key: str(value) for key, value in step.get("env", {}).items()}
                    yield Step(path.name, name, index, {"run": script}, {**variables, **own})


def find_script(step: Mapping[str, Any]) -> str:
    """The script of a step; empty if it has none."""
    return str(step.get("script") or step.get("inputs", {}).get("inlineScript") or "")


def _read_variables(variables: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {each["name"].upper(): str(each["value"]) for each in variables if "name" in each}
