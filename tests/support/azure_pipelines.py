"""Expands the features of Azure Pipelines' templates that are used here: parameters, variables, loops, `replace`.

Source: https://learn.microsoft.com/azure/devops/pipelines/process/template-expressions. Proves nothing by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from rehearsal.toolchain import ROOT

_FOLDER = ROOT / ".azure-pipelines"
# A parameter that a person has to set when a run is started.
_REQUIRED = {"mlops-pipeline.yml": {"model": "churn"}}
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
_EACH = re.compile(r"\$\{\{\s*each (\w+) in (.+?)\s*\}\}")
_CALL = re.compile(r"replace\((.+), '(.*)', '(.*)'\)")

Names = Mapping[str, Any]


def list_pipelines() -> list[Path]:
    """The files of pipelines, without templates, which have no trigger."""
    own = sorted(path for path in _FOLDER.glob("*.yml") if "trigger" in yaml.safe_load(path.read_text()))
    return [ROOT / "azure-pipelines.yml", *own]


def expand_pipeline(path: Path) -> dict[str, Any]:
    """A pipeline as expanded for a run with its default parameters."""
    return expand(path, _REQUIRED.get(path.name))


def expand(path: Path, parameters: Names | None = None, variables: Names | None = None) -> dict[str, Any]:
    """The pipeline or template in a file, with its templates expanded.

    variables  of the pipeline that a template reads, keyed by expression

    Raises AssertionError for an unknown expression.
    """
    content = yaml.safe_load(path.read_text())
    declared = {each["name"]: each.get("default") for each in content.pop("parameters", ())}
    passed = dict(parameters or {})
    assert passed.keys() <= declared.keys(), f"{path.name} has no parameter {passed.keys() - declared.keys()}"
    values = {**declared, **passed}
    missing = [name for name, value in values.items() if value is None]
    assert not missing, f"{path.name} needs {missing}"
    own = {f"variables.{each['name']}": each["value"] for each in content.get("variables", ()) if "name" in each}
    names = {**(variables or {}), **own, **{f"parameters.{name}": value for name, value in values.items()}}
    expanded: dict[str, Any] = _expand(content, names, path)
    return expanded


def list_steps(node: Any) -> Iterator[dict[str, Any]]:
    """All steps of an expanded pipeline, in their order."""
    if isinstance(node, list):
        for item in node:
            yield from list_steps(item)
    elif isinstance(node, Mapping):
        for key, value in node.items():
            if key == "steps":
                yield from value
            else:
                yield from list_steps(value)


def _expand(node: Any, names: Names, path: Path) -> Any:
    if isinstance(node, str):
        return _evaluate_text(node, names)
    if isinstance(node, list):
        return [each for item in node for each in _expand_item(item, names, path)]
    if isinstance(node, Mapping):
        return {key: _expand(value, names, path) for key, value in node.items()}
    return node


def _expand_item(item: Any, names: Names, path: Path) -> list[Any]:
    """The items that an item of a list expands to: several for a loop or a template."""
    if isinstance(item, Mapping) and len(item) == 1 and (loop := _EACH.fullmatch(next(iter(item)))):
        (body,) = item.values()
        return [each for value in _evaluate(loop[2], names) for each in _expand(body, {**names, loop[1]: value}, path)]
    if isinstance(item, Mapping) and "template" in item:
        parameters = _expand(item.get("parameters", {}), names, path)
        variables = {name: value for name, value in names.items() if name.startswith("variables.")}
        (items,) = expand(path.parent / item["template"], parameters, variables).values()
        return list(items)
    return [_expand(item, names, path)]


def _evaluate_text(text: str, names: Names) -> Any:
    whole = _EXPRESSION.fullmatch(text)
    if whole and "}}" not in whole[1]:
        return _evaluate(whole[1], names)
    return _EXPRESSION.sub(lambda found: str(_evaluate(found[1], names)), text)


def _evaluate(expression: str, names: Names) -> Any:
    if call := _CALL.fullmatch(expression):
        return str(_evaluate(call[1], names)).replace(call[2], call[3])
    assert expression in names, f"{expression} is unknown"
    return names[expression]
