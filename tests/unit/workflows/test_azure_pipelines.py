"""The pipelines of Azure DevOps: valid against the published schema, with templates expanded, and in the same order.

The schema is Microsoft's (azure-pipelines-vscode, MIT), from the package check-jsonschema, and contains the tasks
and their inputs. tests/support/azure_pipelines.py expands templates, as far as they are used; Azure DevOps itself has
not run them.
"""

from __future__ import annotations

import json
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

from rehearsal.toolchain import ROOT
from tests.support.azure_pipelines import expand, expand_pipeline, list_pipelines, list_steps
from tests.support.azure_steps import find_script

MAIN = ROOT / "azure-pipelines.yml"
PIPELINES = list_pipelines()


def to_schema(node: Any, *, is_input: bool = False) -> Any:
    """The schema treats every scalar as text, as the pipelines' YAML reader does, except for booleans of tasks."""
    if isinstance(node, dict):
        return {key: to_schema(value, is_input=is_input or key == "inputs") for key, value in node.items()}
    if isinstance(node, list):
        return [to_schema(value, is_input=is_input) for value in node]
    if isinstance(node, bool):
        return node if is_input else str(node).lower()
    return str(node) if isinstance(node, int) else node


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema, which has the schema, is missing: `make setup`")
    schema = files("check_jsonschema").joinpath("builtin_schemas", "vendor", "azure-pipelines.json")
    return Draft7Validator(json.loads(schema.read_text()))


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.name)
def test_a_pipeline_is_valid_with_its_templates(validator: Draft7Validator, path: Path) -> None:
    instance = to_schema(expand_pipeline(path))
    # To find all errors of all alternatives would take much longer than to find one.
    assert validator.is_valid(instance), best_match(validator.iter_errors(instance))


def test_the_schema_rejects_an_invalid_pipeline(validator: Draft7Validator) -> None:
    pipeline = expand(MAIN)
    next(step for step in list_steps(pipeline) if step.get("task") == "AzureCLI@2")["inputs"]["scriptTyp"] = "bash"
    assert not validator.is_valid(to_schema(pipeline))


def test_each_environment_is_deployed_after_the_one_before() -> None:
    stages = {stage["stage"]: stage for stage in expand(MAIN)["stages"]}
    assert [stages[f"deploy_{name}"]["dependsOn"] for name in ("dev", "staging", "prod")] == [
        ["check", "rehearse"],
        ["deploy_dev"],
        ["deploy_staging"],
    ]
    for name in ("dev", "staging", "prod"):
        (job,) = stages[f"deploy_{name}"]["jobs"]
        assert job["environment"] == f"azure-{name}"
        *_, step = list_steps(job)
        assert step["inputs"]["inlineScript"].split("\n")[:4] == [
            "set -e",
            "make preflight",
            "make up YES=1",
            "make smoke-test",
        ]


def test_every_file_is_a_pipeline_or_a_template_of_one() -> None:
    folder = ROOT / ".azure-pipelines"
    texts = [path.read_text() for path in (MAIN, *folder.glob("*.yml"))]
    templates = {path.name for path in folder.glob("*.yml")} - {path.name for path in PIPELINES}
    assert [name for name in sorted(templates) if not any(f"{name}\n" in text for text in texts)] == []


def test_a_fork_gets_no_service_connection() -> None:
    for stage in expand(MAIN)["stages"]:
        if any(step.get("task") == "AzureCLI@2" for step in list_steps(stage)):
            condition = stage["condition"]
            assert "IsFork'], 'True')" in condition or "'refs/heads/main')" in condition, stage["stage"]


@pytest.mark.process
@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.name)
def test_every_script_is_valid_bash(path: Path) -> None:
    for script in filter(None, map(find_script, list_steps(expand_pipeline(path)))):
        reply = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True, check=False)
        assert reply.returncode == 0, reply.stderr
